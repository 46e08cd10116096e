"""Checks of opened sets of any plugin, and the run that bounds them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from nd_plugin import Annotation, Concept, ConceptSetInvalid, Identity
from nd_plugin.concepts.check import runs
from nd_plugin.concepts.check.opened_sets import find_faults
from nd_plugin.concepts.check.runs import (
    CheckRun,
    check_each,
    check_run,
    looks_at_all,
)

COUNT = 12
SIDE = 8
IDENTITY = Identity("blocks", "blocks", "1", "0")


@dataclass
class Blocks:
    """Set of plain images with one plane each, of which some can be replaced."""

    concepts: tuple[Concept, ...] = (Concept("left", "object"),)
    categories: tuple[str, ...] = ("object",)
    native_masks: bool = True
    identity: Identity = IDENTITY
    annotations: dict[int, Annotation] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    broken_image: int = -1
    broken_mask: int = -1

    def __len__(self) -> int:
        return COUNT

    def name(self, index: int) -> str:
        return self.names.get(index, f"{index}.png")

    def image(self, index: int) -> Image.Image:
        if index == self.broken_image:
            raise OSError("truncated")
        return Image.new("RGB", (SIDE, SIDE))

    def annotation(self, index: int) -> Annotation:
        if index == self.broken_mask:
            raise ValueError("the mask is damaged")
        return self.annotations.get(
            index, Annotation([np.ones((SIDE // 2,) * 2, np.uint8)])
        )


def found(blocks: Blocks) -> list[tuple[str, str]]:
    return [(finding.rule, finding.file) for finding in find_faults(blocks)]


def test_a_sound_set_has_no_faults() -> None:
    assert found(Blocks()) == []


@pytest.mark.parametrize(
    ("blocks", "place"),
    [
        (Blocks(broken_image=3), ("unreadable-image", "3.png")),
        (Blocks(broken_mask=4), ("unreadable-mask", "4.png")),
        (
            Blocks(annotations={5: Annotation([np.ones((4, 8), int)])}),
            ("mask-aspect", "5.png"),
        ),
        (
            Blocks(annotations={6: Annotation([np.full((4, 4), 2)], (1,))}),
            ("unlisted-label", "6.png"),
        ),
        (Blocks(annotations={7: Annotation([])}), ("unlabelled-image", "7.png")),
        (Blocks(names={8: "1.png"}), ("duplicate-image", "1.png")),
        (
            Blocks(concepts=(Concept("left", "object"), Concept("up", "object"))),
            ("label-without-pixels", "blocks"),
        ),
    ],
)
def test_each_fault_is_named(blocks: Blocks, place: tuple[str, str]) -> None:
    assert found(blocks) == [place]


def test_categories_that_no_image_has() -> None:
    concepts = (Concept("left", "object"), Concept("night", "scene"))
    blocks = Blocks(concepts=concepts, categories=("object", "scene"))
    assert found(blocks) == [
        ("label-without-pixels", "blocks"),
        ("unused-category", "blocks"),
    ]


def test_concepts_of_one_name() -> None:
    both = Annotation([np.ones((4, 4), np.uint8)], (2,))
    blocks = Blocks(
        concepts=(Concept("left", "object"),) * 2,
        annotations=dict.fromkeys(range(COUNT), both),
    )
    assert found(blocks) == [("duplicate-name", "blocks")]


def test_fewer_than_ten_samples_are_a_warning() -> None:
    empty = Annotation([np.zeros((4, 4), np.uint8)])
    nine = Blocks(annotations=dict.fromkeys(range(3), empty))
    ten = Blocks(annotations=dict.fromkeys(range(2), empty))
    assert ("few-samples", "blocks") in found(nine)
    assert ("few-samples", "blocks") not in found(ten)
    assert not any(finding.is_error for finding in find_faults(nine))


def test_a_remark_on_an_annotation_is_a_warning() -> None:
    remark = "7 occurs in the mask, and its table does not list it"
    plane = np.ones((4, 4), np.uint8)
    blocks = Blocks(annotations={5: Annotation([plane], remarks=(remark,))})
    (finding,) = find_faults(blocks)
    assert (finding.rule, finding.file) == ("annotation-remark", "5.png")
    assert finding.problem == remark
    assert not finding.is_error


def test_a_label_of_a_vocabulary_that_is_not_the_users_stays() -> None:
    """A part of VOC has no trains: the remedy is none that asks for another vocabulary."""
    blocks = Blocks(concepts=(Concept("left", "object"), Concept("up", "object")))
    (finding,) = find_faults(blocks)
    assert finding.rule == "label-without-pixels"
    assert finding.remedy.startswith("nothing, if this is a part of the data set")
    assert "SET[min_samples=1]" in finding.remedy


def double(number: int) -> int:
    return 2 * number


def test_a_run_looks_at_its_limit_and_tells_of_it() -> None:
    calls: list[tuple[str, int, int]] = []

    def remember(stage: str, done: int, total: int) -> None:
        calls.append((stage, done, total))

    with check_run(CheckRun(limit=2, progress=remember)):
        assert not looks_at_all(3)
        assert looks_at_all(2)
        assert list(check_each(double, [1, 2, 3])) == [2, 4]
    assert calls == [("checking", done, 2) for done in (0, 1, 2)]
    assert looks_at_all(3)


def test_processes_give_the_same_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "FEWEST_FOR_PROCESSES", 4)
    blocks = Blocks(broken_image=3, broken_mask=9)
    expected = list(find_faults(blocks))
    with check_run(CheckRun(workers=2)):
        assert list(find_faults(blocks)) == expected
    assert len(expected) == 2


def test_a_set_that_processes_cannot_be_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Names(dict[int, str]):
        """Names of a class that no other process knows."""

    monkeypatch.setattr(runs, "FEWEST_FOR_PROCESSES", 4)
    blocks = Blocks(names=Names())
    remedy = r"cannot be given to other processes.*Names.*--workers 0"
    with (
        check_run(CheckRun(workers=2)),
        pytest.raises(ConceptSetInvalid, match=remedy),
    ):
        list(find_faults(blocks))
    assert found(blocks) == []
