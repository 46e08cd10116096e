"""Labelled images in folders: ``FOLDER/train/CLASS/*.jpg`` and ``FOLDER/test/CLASS/*.jpg``."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation, Concept
from nd_plugin.contracts.provenance import Identity, fingerprint
from nd_plugin.errors import BadInput
from nd_plugin.pictures.files import read_picture
from nd_plugin.pictures.folder_listing import FolderListing, list_files
from nd_plugin.storage.names import expanded_home

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
CATEGORY = "class"
TEST_SHARE = 5  # of images without splits, one in so many is for tests
NAMES_SAID = 6

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledImages:
    """Images with a class each, some for training and some for tests; a concept set of classes."""

    root: Path
    paths: tuple[str, ...]  # below the root
    classes: tuple[str, ...]
    labels: tuple[int, ...]  # class of each image
    for_test: tuple[bool, ...]  # of each image
    notes: tuple[str, ...] = ()  # how the images are split
    native_masks = False
    categories: ClassVar[tuple[str, ...]] = (CATEGORY,)

    @cached_property
    def identity(self) -> Identity:
        """Folder, and the fingerprint of paths, sizes and the split."""
        lines = [
            f"{path} {is_test} {_size_in_bytes(self.root / path)}\n".encode()
            for path, is_test in zip(self.paths, self.for_test, strict=True)
        ]
        return Identity("images", str(self.root), "1", fingerprint(lines))

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        """Classes."""
        return tuple(Concept(name, CATEGORY) for name in self.classes)

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Return the path of an image below the root."""
        return self.paths[index]

    def files(self, index: int) -> list[Path]:
        """Return the file of an image."""
        return [self.root / self.paths[index]]

    def image(self, index: int) -> Image.Image:
        """Decode an image."""
        return read_picture(self.root / self.paths[index])

    def annotation(self, index: int) -> Annotation:
        """Return the class of an image, as a label of the whole image."""
        return Annotation((), (self.labels[index] + 1,))


def _size_in_bytes(path: Path) -> int:
    """Return a file's size; -1 for a broken link, which is reported when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def find_labelled_images(folder: str | Path) -> LabelledImages:
    """Find the images of a folder with splits, or of one folder for each class.

    Splits are folders train and test (or val). Without them, one image in five is for tests: by the
    hash of its path, so that it is the same one everywhere; a note says so. Raises BadInput for a
    folder without images, for fewer than two classes, and for a class that a split lacks.
    """
    root = expanded_home(folder)
    if not root.is_dir():
        raise BadInput(f"no folder {str(folder)!r} of labelled images")
    train = _split_folder(root, TRAIN_NAMES)
    test = _split_folder(root, TEST_NAMES)
    if (train is None) != (test is None):
        present = train or test
        missing = "test or val" if test is None else "train"
        raise BadInput(
            f"{root} has {present}/ but no {missing}/; expected FOLDER/train/CLASS/… and "
            "FOLDER/test/CLASS/…, or FOLDER/CLASS/… without splits"
        )
    if train is None or test is None:
        images = _split_by_hash(root)
    else:
        images = _with_splits(root, train, test)
    _check(images)
    return images


def _split_folder(root: Path, names: Sequence[str]) -> str | None:
    """Return the name of the folder of a split, in any case of letters; the first known name."""
    by_name = {
        path.name.lower(): path.name
        for path in sorted(root.iterdir())
        if path.is_dir()
    }
    return next((by_name[name] for name in names if name in by_name), None)


def _with_splits(root: Path, train: str, test: str) -> LabelledImages:
    # one listing of both: a link from one split into the other adds nothing
    listing = list_files(root, _endings())
    images: list[tuple[str, str, bool]] = []
    for split, is_test in ((train, False), (test, True)):
        for class_name, path in _by_class(listing, f"{split}/"):
            images.append((path, class_name, is_test))
    notes = (*_notes_of_splits(root, test), *listing.notes(f"{root}/"))
    return _labelled(root, images, notes)


def _notes_of_splits(root: Path, test: str) -> Iterator[str]:
    """Yield what was chosen where a folder has no test, or several folders for tests."""
    if test.lower() != TEST_NAMES[0]:
        yield f"tested on {test}/: {root} has no {TEST_NAMES[0]}/"
    unused = [
        path.name
        for path in sorted(root.iterdir())
        if path.name.lower() in TEST_NAMES and path.name != test and path.is_dir()
    ]
    if unused:
        yield f"tested on {test}/; not used: {', '.join(unused)}"


def _split_by_hash(root: Path) -> LabelledImages:
    listing = list_files(root, _endings())
    images = [
        (path, class_name, is_test_name(path))
        for class_name, path in _by_class(listing, "")
    ]
    note = f"{root} has no splits: one image in {TEST_SHARE} is for tests, by the hash of its path"
    return _labelled(root, images, (note, *listing.notes(f"{root}/")))


def is_test_name(path: str) -> bool:
    """Return whether the image at a path below the root is for tests: one in five."""
    digest = hashlib.sha256(path.encode()).digest()
    return int.from_bytes(digest[:8], "big") % TEST_SHARE == 0


def _by_class(listing: FolderListing, split: str) -> list[tuple[str, str]]:
    """Return the class and the path of each image whose path begins with ``split``, sorted.

    The first folder behind that is the class.
    """
    images = []
    for path in listing.paths:
        class_name, slash, _ = path.removeprefix(split).partition("/")
        if path.startswith(split) and slash:
            images.append((class_name, path))
    return sorted(images)


def _endings() -> list[str]:
    """Return the endings of the formats that Pillow opens."""
    formats = Image.registered_extensions()
    return [ending for ending, name in formats.items() if name in Image.OPEN]


def _labelled(
    root: Path, images: Sequence[tuple[str, str, bool]], notes: tuple[str, ...]
) -> LabelledImages:
    if not images:
        raise BadInput(
            f"no images in {root}: expected FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg, "
            "or FOLDER/CLASS/*.jpg"
        )
    classes = sorted({class_name for _, class_name, _ in images})
    index_of = {name: index for index, name in enumerate(classes)}
    return LabelledImages(
        root=root,
        paths=tuple(path for path, _, _ in images),
        classes=tuple(classes),
        labels=tuple(index_of[class_name] for _, class_name, _ in images),
        for_test=tuple(is_test for _, _, is_test in images),
        notes=notes,
    )


def _check(images: LabelledImages) -> None:
    """Raise BadInput for a single class, and for classes that a split lacks."""
    if len(images.classes) < 2:
        raise BadInput(
            f"{images.root} has one class, {images.classes[0]!r}; a classifier needs two or more"
        )
    for is_test, split in ((True, "test"), (False, "training")):
        missing = classes_without(images, is_test)
        if missing:
            remedy = "add some, or leave the class out"
            raise BadInput(
                f"{images.root}: no {split} image of {_listed(missing)}; {remedy}"
            )


def classes_without(images: LabelledImages, is_test: bool) -> list[str]:
    """Return the classes that have no image for tests, or none for training."""
    pairs = zip(images.labels, images.for_test, strict=True)
    counts = Counter(
        label for label, is_for_test in pairs if is_for_test == is_test
    )
    return [name for index, name in enumerate(images.classes) if not counts[index]]


def _listed(names: Sequence[str]) -> str:
    beyond = len(names) - NAMES_SAID
    more = f" and {beyond} more" if beyond > 0 else ""
    return ", ".join(map(repr, names[:NAMES_SAID])) + more
