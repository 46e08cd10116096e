"""Parts of concept sets: which images and labels stay, and what is refused."""

from __future__ import annotations

import os
import pickle
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_sets import MadeSet, concepts_of, names_in, shown
from opened_checks import check_opened_set
from written_sets import write_masks

from nd_plugin import (
    Annotation,
    Concept,
    ConceptSet,
    ConceptSetInvalid,
    PluginFailed,
    open_concepts,
    select_concepts,
)
from nd_plugin.concepts.combine import sample_counts

CONCEPTS = (
    *concepts_of(object="car road", part="wheel door"),
    Concept("sky", "object", ("heavens",)),
    Concept("door", "object"),
)
WITHOUT_IMAGES = MadeSet("streets", CONCEPTS, {})
STREETS = replace(
    WITHOUT_IMAGES,
    annotations={
        "a.png": shown(WITHOUT_IMAGES, "car", "wheel"),
        "b.png": replace(shown(WITHOUT_IMAGES, "car"), labels=(2,)),
        "c.png": shown(WITHOUT_IMAGES, "wheel"),
        "d.png": Annotation((), (5,), (4, 4), ("a remark",)),
    },
    splits={"a.png": "train", "b.png": "val", "c.png": "train", "d.png": "test"},
    notes=("a note of the set",),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nd_plugin" / "samples"


def names(concepts: ConceptSet) -> list[str]:
    return [concept.name for concept in concepts.concepts]


def shown_by_image(concepts: ConceptSet) -> dict[str, set[str]]:
    return {
        concepts.name(index): names_in(
            concepts.concepts, concepts.annotation(index)
        )
        for index in range(len(concepts))
    }


def test_categories_choose_concepts_and_keep_all_images() -> None:
    parts = select_concepts(STREETS, categories="part")
    assert names(parts) == ["wheel", "door"]
    assert parts.categories == ("part",)
    assert shown_by_image(parts) == {
        "a.png": {"wheel"},
        "b.png": set(),
        "c.png": {"wheel"},
        "d.png": set(),
    }
    assert parts.image(2).tobytes() == STREETS.image(2).tobytes()


def test_annotations_keep_pixels_size_and_remarks() -> None:
    objects = select_concepts(STREETS, categories=["object"])
    annotation = objects.annotation(0)
    (plane,) = annotation.planes
    expected = np.zeros((8, 8), np.uint8)
    expected[0, 0] = 1
    assert np.array_equal(plane, expected)
    assert annotation.size == (8, 8)
    # of the plane that is left out, the resolution stays
    assert objects.annotation(2) == Annotation([], (), (8, 8))
    assert objects.annotation(3) == Annotation([], (3,), (4, 4), ("a remark",))
    assert objects.notes == STREETS.notes


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"names": "car"}, ["car"]),
        ({"names": ["sky", "car"]}, ["car", "sky"]),
        ({"names": "heavens"}, ["sky"]),
        ({"names": "door"}, ["door", "door"]),
        ({"names": "door", "categories": "part"}, ["door"]),
        ({"categories": ["part", "object"]}, names(STREETS)),
        ({"min_samples": 2}, ["car", "wheel"]),
        ({"min_samples": 1}, ["car", "road", "wheel", "sky"]),
        # counted among the images of the split
        ({"min_samples": 2, "split": "train"}, ["wheel"]),
        ({"min_samples": 2, "split": ["train", "val"]}, ["car", "wheel"]),
        ({"min_samples": 2, "categories": "part"}, ["wheel"]),
    ],
)
def test_selected_concepts(options: Any, expected: list[str]) -> None:
    assert names(select_concepts(STREETS, **options)) == expected


def test_a_split_chooses_images() -> None:
    train = select_concepts(STREETS, split="train")
    assert shown_by_image(train) == {"a.png": {"car", "wheel"}, "c.png": {"wheel"}}
    # with getattr: optional in the contract
    assert [getattr(train, "split")(index) for index in range(2)] == ["train"] * 2  # noqa: B009
    both = select_concepts(STREETS, split=["val", "train"])
    assert list(shown_by_image(both)) == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"categories": "objects"},
            "no category 'objects'; the nearest is 'object'",
        ),
        ({"categories": "car"}, "it is the name of a concept: write name=car"),
        ({"categories": "val"}, "it is a split: write split=val"),
        ({"names": "whel"}, "no concept 'whel'; the nearest is 'wheel'"),
        (
            {"names": "car", "categories": "part"},
            "no concept 'car' of part; 'car' is of category object",
        ),
        (
            {"split": "vall"},
            "no split 'vall'; the nearest is 'val'; it has train, val, test",
        ),
        (
            {"min_samples": 3},
            "on 3 of its 4 images; the most frequent is 'car', on 2",
        ),
        ({"min_samples": 0}, "min_samples 0 is not a number of images"),
        ({"min_samples": 2.5}, "min_samples 2.5"),
        ({"min_samples": True}, "min_samples True"),
        ({"categories": []}, "categories is empty"),
        ({"names": [3]}, "names holds 3, of type int"),
        ({}, "nothing to select by"),
    ],
)
def test_refused(options: Any, problem: str) -> None:
    with pytest.raises(ConceptSetInvalid, match=re.escape(problem)):
        select_concepts(STREETS, **options)


def test_synonyms_are_noted() -> None:
    selected = select_concepts(STREETS, names=["heavens", "car"])
    assert selected.notes == (
        "a note of the set",
        "'heavens' was selected as a synonym of sky",
    )


def test_a_set_without_splits_says_so() -> None:
    without_splits = replace(STREETS, splits={})
    with pytest.raises(ConceptSetInvalid, match="streets has no splits"):
        select_concepts(without_splits, split="val")


def test_concepts_that_are_left_out_are_noted() -> None:
    frequent = select_concepts(STREETS, min_samples=2)
    assert getattr(frequent, "notes") == (  # noqa: B009
        "a note of the set",
        "4 of 6 concepts of streets are on fewer than 2 images and left out (min_samples=2): "
        "road, door, sky, door",
    )


@pytest.mark.parametrize(
    ("planes", "problem"),
    [
        ([np.full((2, 2), 7)], "label 7 is outside the vocabulary of 6 concepts"),
        ([np.full((2, 2), -1)], "label -1 is outside"),
        ([np.ones((2, 2, 3), int)], "is not (row, column)"),
    ],
)
def test_values_outside_the_vocabulary(planes: Any, problem: str) -> None:
    wrong = replace(STREETS, annotations={"a.png": Annotation(planes)})
    selected = select_concepts(wrong, categories="object")
    with pytest.raises(ValueError, match=re.escape(problem)):
        selected.annotation(0)


def test_planes_of_other_types_stop_the_run() -> None:
    planes = [np.ones((2, 2), np.float32)]
    wrong = replace(STREETS, annotations={"a.png": Annotation(planes)})
    selected = select_concepts(wrong, categories="object")
    with pytest.raises(ConceptSetInvalid, match="label numbers are integers"):
        selected.annotation(0)


def test_many_concepts_take_a_wider_type() -> None:
    vocabulary = concepts_of(object=" ".join(f"o{number}" for number in range(300)))
    plane = np.array([[300, 1]], np.int32)
    wide = MadeSet("wide", vocabulary, {"a": Annotation([plane])})
    selected = select_concepts(
        wide, names=["o299", *(f"o{n}" for n in range(1, 299))]
    )
    assert np.array_equal(selected.annotation(0).planes[0], [[299, 0]])


def test_identities_tell_selections_apart() -> None:
    selections = [
        select_concepts(STREETS, categories="object"),
        select_concepts(STREETS, categories="part"),
        select_concepts(STREETS, names="car"),
        select_concepts(STREETS, split="train"),
        select_concepts(STREETS, split="val"),
        select_concepts(replace(STREETS, source="others"), split="val"),
    ]
    fingerprints = {concepts.identity.fingerprint for concepts in selections}
    assert len(fingerprints) == len(selections)
    again = select_concepts(STREETS, categories=["object", "object"])
    assert again.identity == selections[0].identity
    assert again.identity.source == "streets[object]"
    assert pickle.loads(pickle.dumps(again)).identity == again.identity


def test_the_text_of_a_selection_opens_it_again(tmp_path: Path) -> None:
    text = write_masks(tmp_path / "a set [x]+y")
    selected = select_concepts(text, names=["left"], min_samples=2)
    assert selected.identity.source == f'"{text}"[name=left,min_samples=2]'
    reopened = open_concepts(selected.identity.source)
    assert reopened.identity == selected.identity
    check_opened_set(reopened)


@dataclass
class Counted:
    """Set in files that counts how often annotations are read."""

    concepts_of_files: ConceptSet
    reads: list[int]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.concepts_of_files, name)

    def __len__(self) -> int:
        return len(self.concepts_of_files)

    def annotation(self, index: int) -> Annotation:
        self.reads.append(index)
        return self.concepts_of_files.annotation(index)


def test_samples_are_counted_once(tmp_path: Path, cache: Path) -> None:
    counted = Counted(open_concepts(write_masks(tmp_path / "set")), [])
    images = range(6)
    assert sample_counts.count_samples(counted, images).counts == (6,)
    assert counted.reads == [*images]
    assert sample_counts.count_samples(counted, images).counts == (6,)
    assert counted.reads == [*images]
    # other images are counted on their own
    assert sample_counts.count_samples(counted, [2, 3]).counts == (2,)
    assert counted.reads == [*images, 2, 3]
    # a file that has changed, with the same size
    mask = tmp_path / "set" / "masks" / "object" / "0.png"
    time = mask.stat().st_mtime_ns + 1_000_000
    os.utime(mask, ns=(time, time))
    assert sample_counts.count_samples(counted, images).counts == (6,)
    assert counted.reads == [*images, 2, 3, *images]
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("content", ["", "[1, 2]", "[-1]", '["6"]', "{}", "[true]"])
def test_a_damaged_cache_is_counted_anew(
    tmp_path: Path, cache: Path, content: str
) -> None:
    concepts = open_concepts(write_masks(tmp_path / "set"))
    sample_counts.count_samples(concepts, range(6))
    (path,) = cache.iterdir()
    path.write_text(content)
    assert sample_counts.count_samples(concepts, range(6)).counts == (6,)
    assert path.read_text() == "[6]"


def test_counts_are_in_the_folder_that_the_user_names(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ND_CACHE", str(tmp_path / "named"))
    concepts = open_concepts(write_masks(tmp_path / "set"))
    sample_counts.count_samples(concepts, range(6))
    assert len(list((tmp_path / "named" / "samples").iterdir())) == 1
    assert not cache.exists()


def test_a_set_without_files_is_not_remembered(cache: Path) -> None:
    select_concepts(STREETS, min_samples=2)
    assert not cache.exists()


def test_unreadable_annotations_are_noted_and_not_remembered(
    tmp_path: Path, cache: Path
) -> None:
    text = write_masks(tmp_path / "set")
    (tmp_path / "set" / "masks" / "object" / "3.png").write_bytes(b"no picture")
    selected = open_concepts(f"{text}[min_samples=5]")
    assert getattr(selected, "notes") == (  # noqa: B009
        "1 annotations cannot be read and count for no concept's number of samples, such as that "
        "of 3.bmp",
    )
    assert not cache.exists()


class Broken(MadeSet):
    """Set whose annotations stop a run."""

    def annotation(self, index: int) -> Annotation:
        raise PluginFailed("the plugin failed")


def test_what_stops_a_run_stops_the_count() -> None:
    broken = Broken("broken", CONCEPTS, STREETS.annotations)
    with pytest.raises(PluginFailed, match="the plugin failed"):
        select_concepts(broken, min_samples=2)


def test_workers_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = sample_counts.count_samples(STREETS, range(4))
    monkeypatch.setattr(sample_counts, "_workers", lambda images: 2)
    assert sample_counts.count_samples(STREETS, range(4)) == alone
    assert alone.counts == (2, 1, 2, 0, 1, 0)


def test_small_sets_are_counted_without_workers() -> None:
    assert sample_counts._workers(sample_counts.FEWEST_FOR_WORKERS - 1) == 0


def test_a_selection_of_a_selection() -> None:
    first = select_concepts(STREETS, min_samples=2)
    second = select_concepts(first, split="val")
    assert shown_by_image(second) == {"b.png": {"car"}}
    assert names(second) == ["car", "wheel"]
    assert second.identity.source == "streets[min_samples=2][split=val]"
    check_opened_set(second)
