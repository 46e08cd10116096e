"""Cityscapes in its own layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from made_sources_b import CITY_FRAMES, save_grey, save_photo, write_cityscapes

from nd_plugin import ConceptSetInvalid, open_concepts

SIZE = (16, 32)
FINE = "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
IMAGE = "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
VOID_NOTE = (
    "no label: unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, "
    "ground, which Cityscapes counts as void"
)


def test_ids_7_to_33_are_concepts_and_void_is_no_label(tmp_path: Path) -> None:
    text = write_cityscapes(tmp_path)
    # every value that a mask may hold, in a row each
    values = np.repeat(np.arange(16), 32).reshape(SIZE)
    values[:, 16:] += 16
    values[15, 16:] = 33
    save_grey(tmp_path / FINE, values)
    concepts = open_concepts(text)
    assert len(concepts.concepts) == 27 and concepts.categories == ("object",)
    annotation = concepts.annotation(0)
    (plane,) = annotation.planes
    assert not plane[values < 7].any()
    assert np.array_equal(plane[values >= 7], values[values >= 7] - 6)
    assert annotation.remarks == ()
    names = [concept.name for concept in concepts.concepts]
    assert names[7 - 7] == "road" and names[26 - 7] == "car"
    assert names[33 - 7] == "bicycle" and names[24 - 7] == "person"
    assert concepts.notes == (VOID_NOTE,)  # type: ignore[attr-defined]


def test_splits_are_the_folders(tmp_path: Path) -> None:
    concepts = open_concepts(write_cityscapes(tmp_path))
    splits = [concepts.split(index) for index in range(3)]  # type: ignore[attr-defined]
    assert splits == ["train", "train", "val"]
    assert concepts.name(0) == IMAGE
    files = concepts.files(0)  # type: ignore[attr-defined]
    assert files == [tmp_path / IMAGE, tmp_path / FINE]


def test_values_that_cityscapes_does_not_have_are_said(tmp_path: Path) -> None:
    text = write_cityscapes(tmp_path)
    values = np.full(SIZE, 255)  # as masks of training ids have it
    values[0] = 26
    save_grey(tmp_path / FINE, values)
    annotation = open_concepts(text).annotation(0)
    assert annotation.planes[0][0, 0] == 20 and not annotation.planes[0][1:].any()
    assert annotation.remarks == (
        "255 occurs in gtFine masks, and Cityscapes does not list it",
    )


def test_coarse_annotations(tmp_path: Path) -> None:
    text = write_cityscapes(tmp_path, "gtCoarse")
    with pytest.raises(
        ConceptSetInvalid,
        match=r"no gtFine/, but gtCoarse/: .*annotations=gtCoarse",
    ):
        open_concepts(text)
    text = f"{text}?annotations=gtCoarse"
    concepts = open_concepts(text)
    assert concepts.identity.source == text
    assert len(concepts) == 3
    assert np.unique(concepts.annotation(0).planes[0]).tolist() == [0, 1, 20]
    with pytest.raises(ConceptSetInvalid, match="none of gtFine, gtCoarse"):
        open_concepts(text.replace("Coarse", "Medium"))


def test_what_has_no_partner_is_left_out_and_said(tmp_path: Path) -> None:
    text = write_cityscapes(tmp_path)
    (tmp_path / FINE).unlink()
    split, city, frame = CITY_FRAMES[1]
    (tmp_path / "leftImg8bit" / split / city / f"{frame}_leftImg8bit.png").unlink()
    concepts = open_concepts(text)
    assert len(concepts) == 1
    assert concepts.notes == (  # type: ignore[attr-defined]
        "1 images have no mask in gtFine/, and are left out: for example "
        "train/aachen/aachen_000000_000019_leftImg8bit.png",
        "1 masks have no image in leftImg8bit/, and are left out: for example "
        "train/zurich/zurich_000001_000019_gtFine_labelIds.png",
        VOID_NOTE,
    )


def test_the_split_test_has_no_annotations_and_that_is_said(tmp_path: Path) -> None:
    text = write_cityscapes(tmp_path)
    save_photo(tmp_path / IMAGE.replace("train", "test"), 0, SIZE)
    save_grey(tmp_path / FINE.replace("train", "test"), np.ones(SIZE))
    concepts = open_concepts(text)
    assert concepts.notes[-1] == (  # type: ignore[attr-defined]
        "1 images are of the split test, whose annotations are not published"
    )


def test_wrong_roots_are_told_the_layout(tmp_path: Path) -> None:
    with pytest.raises(
        ConceptSetInvalid, match=r"has no leftImg8bit and no gtFine"
    ):
        open_concepts(f"cityscapes:{tmp_path}")
    text = write_cityscapes(tmp_path)
    shutil.rmtree(tmp_path / "gtFine")
    with pytest.raises(
        ConceptSetInvalid, match=r"has no gtFine.*gtFine_trainvaltest\.zip"
    ):
        open_concepts(text)
    (tmp_path / "gtFine").mkdir()
    with pytest.raises(ConceptSetInvalid, match=r"no …_gtFine_labelIds\.png in"):
        open_concepts(text)
    save_grey(tmp_path / FINE.replace("aachen", "bochum"), np.ones(SIZE))
    with pytest.raises(ConceptSetInvalid, match="has a mask of its name"):
        open_concepts(text)


def test_masks_in_colour_or_of_another_aspect_are_refused(tmp_path: Path) -> None:
    text = write_cityscapes(tmp_path)
    save_photo(tmp_path / FINE, 0, SIZE)  # as gtFine_color
    with pytest.raises(ValueError, match="is of mode RGB; expected L"):
        open_concepts(text).annotation(0)
    save_grey(tmp_path / FINE, np.ones((16, 16)))
    with pytest.raises(ValueError, match="not the aspect of its image"):
        open_concepts(text).annotation(0)
