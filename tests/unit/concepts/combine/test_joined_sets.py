"""Overlays and concatenations: images, vocabularies, resolutions, and what is refused."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_sets import SIZE, MadeSet, concepts_of, names_in, shown
from PIL import Image
from written_sets import write_broden, write_masks

import nd_masks.reader
from nd_plugin import (
    Annotation,
    Concept,
    ConceptSet,
    ConceptSetInvalid,
    concat_concepts,
    open_concepts,
    overlay_concepts,
    select_concepts,
)
from nd_plugin.pictures.conversion import REMARKS
from nd_plugin.testing import check_concept_set

FIRST = MadeSet("first", concepts_of(object="car road", part="wheel"), {})
FIRST = replace(
    FIRST,
    annotations={
        "a.png": shown(FIRST, "car", "wheel"),
        "b.png": replace(shown(FIRST, "road"), labels=(1,), remarks=("odd",)),
    },
    splits={"a.png": "train"},
    notes=("both", "of the first"),
)
SECOND = MadeSet(
    "second",
    (
        *concepts_of(scene="street", part="door"),
        Concept("car", "object", ("auto",)),
    ),
    {},
)
SECOND = replace(
    SECOND,
    annotations={
        "b.png": replace(
            shown(SECOND, "car"), labels=(1,), remarks=("odd", "odder")
        ),
        "a.png": shown(SECOND, "door"),
    },
    splits={"a.png": "other", "b.png": "val"},
    notes=("both", "of the second"),
)
UNION = (
    Concept("car", "object", ("auto",)),
    *concepts_of(object="road", part="wheel", scene="street"),
    Concept("door", "part"),
)


def shown_by_image(concepts: ConceptSet) -> dict[str, set[str]]:
    return {
        concepts.name(index): names_in(
            concepts.concepts, concepts.annotation(index)
        )
        for index in range(len(concepts))
    }


def split(concepts: Any, index: int) -> str:
    return str(concepts.split(index))


def notes(concepts: Any) -> tuple[str, ...]:
    return tuple(concepts.notes)


def test_an_overlay_has_the_annotations_of_both() -> None:
    both = overlay_concepts(FIRST, SECOND)
    assert both.concepts == UNION
    assert both.categories == ("object", "part", "scene")
    assert shown_by_image(both) == {
        "a.png": {"car", "wheel", "door"},
        "b.png": {"road", "car", "street"},
    }
    assert both.annotation(1).remarks == ("odd", "odder")
    assert both.annotation(1).labels == (1, 4)
    assert notes(both) == ("both", "of the first", "of the second")
    assert [split(both, index) for index in range(2)] == ["train", "val"]
    assert both.image(1).tobytes() == FIRST.image(1).tobytes()
    assert both.identity.source == "first+second"


def test_a_concept_that_both_have_keeps_the_pixels_of_both() -> None:
    both = overlay_concepts(FIRST, replace(FIRST, source="again"))
    assert both.concepts == FIRST.concepts
    assert len(both.annotation(0).planes) == 4
    assert both.annotation(1).labels == (1,)


def renamed(concepts: MadeSet, **names: str) -> MadeSet:
    annotations = {
        names.get(name.partition(".")[0], name): annotation
        for name, annotation in concepts.annotations.items()
    }
    return replace(concepts, annotations=annotations)


def test_images_are_matched_without_their_endings_where_names_differ() -> None:
    other = renamed(SECOND, a="a.jpg", b="b.tiff")
    assert shown_by_image(overlay_concepts(FIRST, other)) == shown_by_image(
        overlay_concepts(FIRST, SECOND)
    )


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (
            renamed(SECOND, b="c.png"),
            "first+second needs the same images in both sets: 1 are only in first: b.png; "
            "1 are only in second: c.png; select the same images",
        ),
        (
            replace(SECOND, annotations={"a.png": Annotation(())}),
            "1 are only in first: b.png; select",
        ),
        # which of the two is b.png's is not known
        (
            replace(
                SECOND,
                annotations={
                    name: Annotation(()) for name in ("a.jpg", "b.jpg", "b.gif")
                },
            ),
            "several images of one of them are named 'b', with any ending",
        ),
    ],
)
def test_overlays_of_other_images_are_refused(
    second: MadeSet, problem: str
) -> None:
    with pytest.raises(ConceptSetInvalid, match=re.escape(problem)):
        overlay_concepts(FIRST, second)


def test_an_image_of_another_aspect_is_another_image() -> None:
    problem = "first+second needs the same images in both sets: {} is 8x8 in first, and {} is 8x16"
    other = replace(SECOND, sizes={"a.png": (16, 8)})
    with pytest.raises(
        ConceptSetInvalid, match=re.escape(problem.format(*["a.png"] * 2))
    ):
        overlay_concepts(FIRST, other)
    # another than the first is refused when it is read
    both = overlay_concepts(FIRST, replace(SECOND, sizes={"b.png": (16, 8)}))
    both.image(0)
    with pytest.raises(
        ConceptSetInvalid, match=re.escape(problem.format(*["b.png"] * 2))
    ):
        both.image(1)


def test_an_image_of_another_size_and_the_same_aspect_is_remarked() -> None:
    both = overlay_concepts(FIRST, replace(SECOND, sizes={"a.png": (16, 16)}))
    assert both.image(0).info[REMARKS] == (
        "of another size in second, with the same aspect",
    )
    assert both.image(0).size == SIZE
    assert REMARKS not in both.image(1).info


class Turned(MadeSet):
    """Set whose images are stored lying, and stand as their EXIF orientation says."""

    def image(self, index: int) -> Image.Image:
        image = Image.new("RGB", (16, 8))
        image.getexif()[274] = 6
        return image


def test_sizes_are_those_of_upright_images() -> None:
    sizes = {"a.png": (16, 8), "b.png": (16, 8)}
    turned = Turned("turned", SECOND.concepts, SECOND.annotations)
    overlay_concepts(replace(FIRST, sizes=sizes), turned).image(1)
    with pytest.raises(ConceptSetInvalid, match="the same images"):
        overlay_concepts(replace(FIRST, sizes={"a.png": (8, 16)}), turned)


class Unreadable(MadeSet):
    """Set whose images cannot be read."""

    def image(self, index: int) -> Image.Image:
        raise ValueError("no image")


def test_an_unreadable_image_is_reported_when_it_is_read() -> None:
    unreadable = Unreadable("unreadable", SECOND.concepts, SECOND.annotations)
    both = overlay_concepts(FIRST, unreadable)
    with pytest.raises(ValueError, match="no image"):
        both.image(0)


@pytest.mark.parametrize("is_same_folder", [True, False])
def test_images_of_one_file_are_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_same_folder: bool
) -> None:
    text = write_masks(tmp_path / "set")
    second = open_concepts(
        text if is_same_folder else write_masks(tmp_path / "copy")
    )
    both = overlay_concepts(text, second)
    decoded: list[Path] = []
    read_picture = nd_masks.reader.read_picture

    def count(path: Path) -> Image.Image:
        decoded.append(path)
        return read_picture(path)

    monkeypatch.setattr(nd_masks.reader, "read_picture", count)
    both.image(3)
    assert len(decoded) == (1 if is_same_folder else 2)


COARSE = Annotation([np.ones((2, 2), np.uint8)])
FINE = Annotation([np.ones((8, 8), np.uint8)])
IMAGE_ONLY = Annotation((), (1,))


def one_image(source: str, annotation: Annotation, *, native: bool) -> MadeSet:
    concepts = concepts_of(**{source: "thing"})
    return MadeSet(source, concepts, {"a": annotation}, native_masks=native)


@pytest.mark.parametrize(
    ("first", "second", "size", "native", "noted"),
    [
        ((COARSE, False), (FINE, False), (2, 2), False, ""),
        ((COARSE, True), (FINE, True), (2, 2), True, ""),
        # the native masks' size, on either side
        ((COARSE, True), (FINE, False), (2, 2), True, "masks of b are compared"),
        ((FINE, False), (COARSE, True), (2, 2), True, "masks of a are compared"),
        (
            (IMAGE_ONLY, True),
            (FINE, False),
            (8, 8),
            True,
            "at the size of those of a",
        ),
        (
            (FINE, False),
            (IMAGE_ONLY, True),
            (8, 8),
            True,
            "at the size of those of b",
        ),
        ((IMAGE_ONLY, True), (IMAGE_ONLY, True), None, True, ""),
    ],
)
def test_resolution_of_an_overlay(
    first: Any, second: Any, size: Any, native: bool, noted: str
) -> None:
    both = overlay_concepts(
        one_image("a", first[0], native=first[1]),
        one_image("b", second[0], native=second[1]),
    )
    assert both.native_masks == native
    assert both.annotation(0).size == size
    assert bool(notes(both)) == bool(noted)
    assert noted in "".join(notes(both))


def test_a_concatenation_has_the_images_of_all() -> None:
    third = renamed(FIRST, a="c.png", b="d.png")
    joined = concat_concepts(SECOND, third)
    assert shown_by_image(joined) == {
        "b.png": {"car", "street"},
        "a.png": {"door"},
        "c.png": {"car", "wheel"},
        "d.png": {"road", "car"},
    }
    assert joined.concepts == (
        *SECOND.concepts,
        *concepts_of(object="road", part="wheel"),
    )
    assert joined.categories == ("scene", "part", "object")
    assert [split(joined, index) for index in range(4)] == ["val", "other", "", ""]
    assert notes(joined) == ("both", "of the second", "of the first")
    assert joined.image(2).tobytes() == third.image(0).tobytes()
    assert joined.annotation(3).remarks == ("odd",)
    for index in (-1, 4):
        with pytest.raises(IndexError, match=f"no image {index}"):
            joined.image(index)


def test_names_that_several_sets_have_get_a_number() -> None:
    one_more = replace(
        FIRST, annotations={"1/a.png": COARSE, "c.png": COARSE, "a.png": COARSE}
    )
    joined = concat_concepts(FIRST, one_more)
    assert [joined.name(index) for index in range(len(joined))] == [
        "1/1/a.png",
        "b.png",
        "1/a.png",
        "c.png",
        "2/a.png",
    ]
    assert (
        "1 names of images are those of several sets, such as a.png"
        in notes(joined)[-1]
    )


def test_masks_of_a_concatenation_are_native_where_all_are() -> None:
    native = one_image("a", COARSE, native=True)
    plain = one_image("b", FINE, native=False)
    assert concat_concepts(native, replace(native, source="c")).native_masks
    mixed = concat_concepts(plain, native)
    assert not mixed.native_masks
    assert (
        "masks of a are native and those of other sets are not" in notes(mixed)[-1]
    )


@pytest.mark.parametrize("sets", [(), (FIRST,)])
def test_a_concatenation_takes_several_sets(sets: tuple[MadeSet, ...]) -> None:
    with pytest.raises(ConceptSetInvalid, match="give two or more"):
        concat_concepts(*sets)


def test_identities_tell_combinations_apart() -> None:
    other = replace(SECOND, source="other")
    sets = [
        overlay_concepts(FIRST, SECOND),
        overlay_concepts(SECOND, FIRST),
        overlay_concepts(FIRST, other),
        concat_concepts(FIRST, SECOND),
        concat_concepts(SECOND, FIRST),
        concat_concepts(FIRST, SECOND, FIRST),
        concat_concepts(concat_concepts(FIRST, SECOND), FIRST),
        select_concepts(overlay_concepts(FIRST, SECOND), names="car"),
    ]
    assert len({concepts.identity.fingerprint for concepts in sets}) == len(sets)
    assert [concepts.identity.source for concepts in sets[5:]] == [
        "concat(first, second, first)",
        "concat(concat(first, second), first)",
        "(first+second)[name=car]",
    ]
    for concepts in sets:
        unpickled = pickle.loads(pickle.dumps(concepts))
        assert unpickled.identity == concepts.identity
        assert unpickled.annotation(1).labels == concepts.annotation(1).labels


def test_files_are_those_of_all_parts(tmp_path: Path) -> None:
    masks = write_masks(tmp_path / "m")
    broden = write_broden(tmp_path / "b")
    overlay: Any = open_concepts(f"{masks}+{broden}")
    assert [path.relative_to(tmp_path).as_posix() for path in overlay.files(2)] == [
        "m/images/2.bmp",
        "m/masks/object/2.png",
        "b/images/2.bmp",
        "b/images/2_object.png",
    ]
    joined: Any = open_concepts(f"concat({masks}, {broden})")
    assert [path.relative_to(tmp_path).as_posix() for path in joined.files(7)] == [
        "b/images/1.bmp",
        "b/images/1_object.png",
    ]
    # a set with a part that does not name its files cannot be verified
    assert not hasattr(concat_concepts(masks, FIRST), "files")
    assert hasattr(select_concepts(masks, names="left"), "files")


@pytest.mark.parametrize(
    "text",
    [
        "{m}+{b}",
        "{b}+{m}",
        "concat({m}, {b})",
        "concat({m}[name=left], ({b}+{m})[object])[min_samples=3]",
        "shapes?images=4&size=32[object,part]",
    ],
)
def test_combinations_keep_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    texts = {"m": write_masks(tmp_path / "m"), "b": write_broden(tmp_path / "b")}
    check_concept_set(open_concepts, text.format(**texts), images=8)
    # what the identity says opens the same set
    concepts = open_concepts(text.format(**texts))
    assert open_concepts(concepts.identity.source).identity == concepts.identity
