"""Checks of a set in the masks format, before anything runs on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from PIL import Image

from nd_masks.entries import Entry
from nd_masks.files import find_files
from nd_plugin import Concept, ConceptSetInvalid

# Pillow's modes of one index per pixel
INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def wrong_mode(path: str, mode: str) -> str:
    """Return the message for a mask that does not hold one index per pixel."""
    return (
        f"the mask {path} is of mode {mode}; a mask is 8 or 16 bit grey or palette, "
        "with one index per pixel"
    )


def check_modes(root: Path, entries: Sequence[Entry]) -> None:
    """Refuse a set whose first mask of a category is in colour, as some tools export them.

    A mask that cannot be opened is passed over: it is reported when its image is read.
    """
    sampled_masks: dict[str, str] = {}  # by category
    for entry in reversed(entries):  # the first image's masks come last and stay
        sampled_masks.update(entry.masks)
    for path in sampled_masks.values():
        try:
            with Image.open(root / "masks" / path) as image:
                mode = image.mode
        except OSError:
            continue
        if mode not in INDEX_MODES:
            raise ConceptSetInvalid(wrong_mode(path, mode))


def check_categories_have_masks(
    root: Path,
    categories: Collection[str],
    entries: Sequence[Entry],
    concepts: Sequence[Concept],
) -> None:
    """Refuse a category of concepts.csv that no mask belongs to.

    Allowed is a category without a folder of masks, if whole-image labels use it.
    """
    masked: set[str] = set()
    labelled: set[str] = set()
    for entry in entries:
        masked.update(category for category, _ in entry.masks)
        labelled.update(concepts[value - 1].category for value in entry.labels)
    for category in categories:
        folder = root / "masks" / category
        if category not in masked and (category not in labelled or folder.is_dir()):
            raise ConceptSetInvalid(
                f"no mask in {folder} belongs to an image; a mask has the path of its image below "
                "images/, with the ending .png"
            )


def check_folders_are_listed(root: Path, categories: Collection[str]) -> None:
    """Refuse a folder of masks whose category concepts.csv does not list."""
    masks = root / "masks"
    if not masks.is_dir():
        return
    for folder in sorted(masks.iterdir()):
        if (
            not folder.is_dir()
            or folder.name.startswith(".")
            or folder.name in categories
        ):
            continue
        if any(find_files(folder, [".png"])):
            raise ConceptSetInvalid(
                f"{folder} holds masks, but concepts.csv lists no concept of category "
                f"{folder.name!r}; list its values there or move the folder away"
            )
