"""Folders of images: which are classes, which are splits, and what is left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nd_plugin import ConceptSetInvalid, list_files

SPLITS = frozenset(
    "train training val valid validation eval dev test testing".split()
)
SPLIT_CHOICES = ("auto", "yes", "no")
LAYOUT = (
    "the folder that holds a folder of images for each class: FOLDER/CLASS/*.jpg, or "
    "FOLDER/train/CLASS/*.jpg"
)


@dataclass(frozen=True)
class ClassImage:
    """Image with the names of its folders."""

    path: str  # below the root
    split: str  # "" for none
    label: str  # name of the class's folder


def find_images(root: Path, splits: str) -> tuple[list[ClassImage], list[str]]:
    """Return the images of all classes, and notes on what is left out.

    ``splits`` is one of `SPLIT_CHOICES`. Raises ConceptSetInvalid for a folder without classes.
    """
    if splits not in SPLIT_CHOICES:
        raise ConceptSetInvalid(
            f"folders: splits={splits} is none of {', '.join(SPLIT_CHOICES)}"
        )
    listing = list_files(root, image_endings())
    has_splits = splits == "yes" or (
        splits == "auto" and _are_splits(listing.paths)
    )
    images = []
    without_class = []
    for path in listing.paths:
        *folders, _ = path.split("/")
        split = folders.pop(0) if has_splits and folders else ""
        if folders:
            images.append(ClassImage(path, split, folders[0]))
        else:
            without_class.append(path)
    if not images:
        raise ConceptSetInvalid(_no_images(root, without_class))
    notes = [*listing.notes(str(root)), *_left_out(without_class)]
    notes += _folders_without_images(root, images, has_splits=has_splits)
    if has_splits:
        names = sorted({image.split for image in images})
        notes.append(f"the folders {', '.join(names)} are splits, and no classes")
    return images, notes


def image_endings() -> list[str]:
    """Return the endings of the formats that Pillow can open."""
    formats = Image.registered_extensions()
    return [ending for ending, name in formats.items() if name in Image.OPEN]


def _are_splits(paths: Sequence[str]) -> bool:
    """Return whether all folders of the first level that hold images are named as splits.

    They hold folders of images; a class may be named 'test', and then holds images itself.
    """
    folders = {path.split("/")[0] for path in paths if "/" in path}
    holds_images = any(path.count("/") == 1 for path in paths)
    return bool(folders) and not holds_images and folders <= SPLITS


def _left_out(paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    return [
        f"{len(paths)} images left out, which lie in no folder of a class: for example {paths[0]}"
    ]


def _folders_without_images(
    root: Path, images: Sequence[ClassImage], *, has_splits: bool
) -> list[str]:
    """Return a note on folders of classes that hold no image."""
    parents = (
        sorted({image.split for image in images if image.split})
        if has_splits
        else [""]
    )
    empty = []
    for parent in parents:
        labels = {image.label for image in images if image.split == parent}
        empty += _other_folders(root / parent, labels)
    if not empty:
        return []
    return [
        f"{len(empty)} folders left out, which hold no image: for example {empty[0]}"
    ]


def _other_folders(parent: Path, names: Collection[str]) -> list[str]:
    return sorted(
        path.name
        for path in parent.iterdir()
        if path.is_dir()
        and not path.name.startswith(".")
        and path.name not in names
    )


def _no_images(root: Path, without_class: Sequence[str]) -> str:
    if without_class:
        problem = (
            f"the images in {root} lie in no folder of a class: for example "
            f"{without_class[0]}"
        )
    else:
        problem = f"no images below {root}, in a format that Pillow can open"
    return f"{problem}; expected {LAYOUT}"
