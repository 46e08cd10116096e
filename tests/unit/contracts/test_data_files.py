"""Contents of a concept set's files: what is hashed, and what is said of sets without files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from written_sets import COUNT, save_image, save_mask, write_broden, write_masks

from nd_plugin import BadInput, concepts_from_captum, open_concepts
from nd_plugin.contracts.data_files import Contents, hash_contents
from nd_plugin.experiments.probing.labelled_images import find_labelled_images


def contents_of(
    concepts: Any, images: int | None = None, threads: int = 3
) -> Contents:
    count = len(concepts) if images is None else images
    return hash_contents(concepts, count, lambda *_: None, threads)


def write_classes(root: Path) -> Any:
    """Write a folder of images, a folder for each class; return the set."""
    for number in range(COUNT):
        folder = root / f"class {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        save_image(folder / f"{number}.bmp", number)
    return find_labelled_images(root)


SETS: dict[str, Callable[[Path], Any]] = {
    "masks": lambda root: open_concepts(write_masks(root)),
    "broden": lambda root: open_concepts(write_broden(root)),
    "folders of images": write_classes,
}


@pytest.mark.parametrize("write", SETS.values(), ids=SETS)
def test_a_changed_image_of_the_same_size_is_seen(
    tmp_path: Path, write: Callable[[Path], Any]
) -> None:
    concepts = write(tmp_path)
    before, fingerprint = contents_of(concepts), concepts.identity.fingerprint
    assert len(before.fingerprint) == 16 and before.notes == ()
    assert contents_of(concepts, threads=1) == before
    save_image(next(tmp_path.rglob("3.bmp")), 99)
    assert contents_of(concepts).fingerprint != before.fingerprint
    assert write_identity(concepts) == fingerprint


def write_identity(concepts: Any) -> str:
    """Return the fingerprint of a set that is opened anew."""
    source = concepts.identity.source
    if concepts.identity.name == "images":
        return find_labelled_images(source).identity.fingerprint
    return open_concepts(source).identity.fingerprint


@pytest.mark.parametrize(
    ("write", "mask", "mode"),
    [
        (write_masks, "masks/object/3.png", "L"),
        (write_broden, "images/3_object.png", "RGB"),
    ],
    ids=["masks", "broden"],
)
def test_a_changed_mask_of_the_same_size_is_seen(
    tmp_path: Path, write: Callable[[Path], str], mask: str, mode: str
) -> None:
    concepts = open_concepts(write(tmp_path))
    before = contents_of(concepts)
    size = (tmp_path / mask).stat().st_size
    save_mask(tmp_path / mask, 3, mode)
    assert (tmp_path / mask).stat().st_size == size
    assert contents_of(concepts).fingerprint != before.fingerprint


def test_two_images_that_change_places_are_seen(tmp_path: Path) -> None:
    concepts = open_concepts(write_masks(tmp_path))
    before = contents_of(concepts)
    first, second = (tmp_path / "images" / name for name in ("1.bmp", "2.bmp"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert contents_of(concepts).fingerprint != before.fingerprint


def test_only_the_images_of_the_run_are_hashed(tmp_path: Path) -> None:
    concepts = open_concepts(write_masks(tmp_path))
    before = contents_of(concepts, 3)
    save_image(tmp_path / "images" / "3.bmp", 99)
    assert contents_of(concepts, 3) == before
    assert contents_of(concepts, 4) != before


def test_the_same_data_elsewhere_have_the_same_contents(tmp_path: Path) -> None:
    here = open_concepts(write_masks(tmp_path / "here"))
    there = open_concepts(write_masks(tmp_path / "there"))
    assert contents_of(here) == contents_of(there)


def test_a_missing_file_is_counted_and_differs_from_the_file(
    tmp_path: Path,
) -> None:
    concepts = open_concepts(write_masks(tmp_path))
    before = contents_of(concepts)
    (tmp_path / "images" / "3.bmp").unlink()
    missing = contents_of(concepts)
    assert missing.fingerprint not in ("", before.fingerprint)
    (note,) = missing.notes
    assert note.startswith("1 of 12 files of images and annotations cannot be read")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_no_regular_file_does_not_hang(tmp_path: Path) -> None:
    concepts = open_concepts(write_masks(tmp_path))
    pipe = tmp_path / "images" / "3.bmp"
    pipe.unlink()
    os.mkfifo(pipe)
    assert "cannot be read" in contents_of(concepts).notes[0]


def test_a_set_that_is_drawn_has_nothing_to_verify() -> None:
    contents = contents_of(open_concepts("shapes?images=3&size=32&seed=0"))
    assert contents.fingerprint == ""
    (note,) = contents.notes
    assert "shapes?images=3&size=32&seed=0 has no files to verify" in note


def test_captum_s_images_are_in_memory_and_identified_as_such() -> None:
    concept = SimpleNamespace(name="black", data_iter=[torch.zeros(1, 3, 8, 8)])
    contents = contents_of(concepts_from_captum([concept]))
    assert contents.fingerprint == "" and "has no files" in contents.notes[0]


def third_party(**members: Any) -> Any:
    return SimpleNamespace(
        identity=SimpleNamespace(source="theirs:x"), __len__=lambda: 3, **members
    )


def test_a_plugin_without_the_method_is_not_verified_and_named() -> None:
    contents = contents_of(third_party(), 3)
    assert contents.fingerprint == ""
    assert "theirs:x were not verified" in contents.notes[0]
    assert "ConceptSet.files" in contents.notes[0]


@pytest.mark.parametrize("wrong", [5, None, [5]], ids=str)
def test_a_plugin_that_names_no_paths_is_an_error(wrong: Any) -> None:
    with pytest.raises(
        BadInput, match=r"theirs:x: files\(0\) does not return paths"
    ):
        contents_of(third_party(files=lambda index: wrong), 3)


def test_a_plugin_may_name_its_files_as_texts(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    as_text = contents_of(third_party(files=lambda index: [str(tmp_path / "a")]), 3)
    as_path = contents_of(third_party(files=lambda index: [tmp_path / "a"]), 3)
    assert as_text == as_path and as_text.fingerprint


def test_progress_counts_images(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    concepts = open_concepts(write_masks(tmp_path))
    hash_contents(concepts, COUNT, lambda *call: calls.append(call), 2)
    assert calls == [("verifying data", done, COUNT) for done in range(COUNT + 1)]
