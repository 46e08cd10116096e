"""Checks of a set in the masks format, before anything runs on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from nd_masks.entries import Entry
from nd_masks.files import first_file, folder_names, image_endings, listed_entries
from nd_plugin import (
    Concept,
    ConceptSetInvalid,
    TableLine,
    check_mask_format,
    check_relative,
    nearest,
    open_picture,
)

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
        check_mask_format(root / "masks" / path, f"the mask {path}")
        mode = ""
        with suppress(Exception), open_picture(root / "masks" / path) as image:
            mode = image.mode
        if mode and mode not in INDEX_MODES:
            raise ConceptSetInvalid(wrong_mode(path, mode))


def no_concepts(root: Path) -> str:
    """Return the message for a set without concepts, with what else it lacks."""
    message = (
        f"no concepts in {root}; list them in concepts.csv (category,value,name), "
        "in image_labels.csv (image,category,name), or in both"
    )
    missing = [name for name in ("images/", "masks/") if not (root / name).is_dir()]
    if missing:
        message += f"; it has no {' and no '.join(missing)} either"
    categories = folder_names(root / "masks")
    if categories:
        message += f"; the folders of masks are {', '.join(map(repr, categories))}"
    return message


def check_categories_are_folders(root: Path, lines: Sequence[TableLine]) -> None:
    """Refuse a category of concepts.csv whose folder would lie outside masks/."""
    for position, line in lines:
        check_relative(line["category"], root / "masks", position)


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
        if category in masked:
            continue
        if folder.is_dir():
            raise ConceptSetInvalid(_no_mask_matches(folder))
        if category not in labelled:
            raise ConceptSetInvalid(_no_folder(folder, categories))


def _no_mask_matches(folder: Path) -> str:
    message = (
        f"no mask in {folder} belongs to an image; a mask has the path of its image below "
        "images/, with the ending .png"
    )
    example = first_file(folder, image_endings())
    if example is None:
        return message
    image = first_file(folder.parent.parent / "images", image_endings())
    return f"{message}; the folder holds {example}, and images/ {image}"


def _no_folder(folder: Path, categories: Collection[str]) -> str:
    message = f"concepts.csv lists the category {folder.name!r}, but there is no folder {folder}"
    root = folder.parent.parent
    if not folder.parent.is_dir():
        return (
            f"{message}, and no masks/ either; {root} holds {listed_entries(root)}"
        )
    names = folder_names(folder.parent)
    unlisted = [name for name in names if name not in categories]
    if unlisted:
        best = (nearest(folder.name, unlisted, most=1) or unlisted)[0]
        return (
            f"{message}; {folder.parent} has {best!r}, which concepts.csv does not list: "
            "rename one of the two"
        )
    listed = ", ".join(map(repr, names)) or "no folders"
    return f"{message}; {folder.parent} has {listed}"


def check_folders_are_listed(root: Path, categories: Collection[str]) -> None:
    """Refuse a folder of masks whose category concepts.csv does not list."""
    for name in folder_names(root / "masks"):
        folder = root / "masks" / name
        if name not in categories and first_file(folder, [".png"]):
            listed = ", ".join(map(repr, categories)) or "none"
            raise ConceptSetInvalid(
                f"{folder} holds masks, but concepts.csv lists no concept of category "
                f"{name!r}, only of {listed}; list its values there or move the folder away"
            )
