"""Reader of images and annotations in Broden's layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_broden.folders import find_folder
from nd_broden.index import Row, read_index
from nd_broden.labels import Labels
from nd_broden.tables import read_categories
from nd_broden.vocabulary import read_vocabulary
from nd_plugin import (
    Annotation,
    ConceptSetInvalid,
    Identity,
    NamedFiles,
    PictureSize,
    check_aspect,
    check_mask_format,
    fingerprint,
    measure_picture,
    read_mask,
    read_picture,
)
from nd_plugin.reading import image_entry, native_masks_of

VERSION = "2"  # of the reader: 1 left the sizes of files out of the fingerprint
FOLLOW = "follow"
LINKS = ("inside", FOLLOW)  # where links below images/ may lead
REMEDY = ", or allow links to lead anywhere: broden:ROOT?links=follow"


class Broden:
    """Folder in Broden's layout (paper section 2.1; github.com/CSAILVision/NetDissect).

    ``index`` names another index file in the folder. ``links="follow"`` allows links below images/
    that lead out of the folder. Without ``root`` it is the set that ``nd concepts fetch broden``
    has fetched, of the ``size`` that is asked for, else of the first that is there. Masks are RGB
    images whose label number is red + 256 * green. Raises ConceptSetInvalid for a folder that is
    not in this layout.
    """

    def __init__(
        self,
        root: str = "",
        *,
        index: str = "index.csv",
        links: str = LINKS[0],
        size: str = "",
    ) -> None:
        self.root, fetched_size = find_folder(root, size)
        self.native_masks = native_masks_of(self.root, True)
        self._files = named_files(self.root, links)
        vocabulary = read_vocabulary(self.root)
        self.categories = vocabulary.categories
        self.concepts = vocabulary.concepts
        self._labels = Labels.of(vocabulary.numbers)
        named_index(self.root, index, links)
        self._rows, notes = read_index(
            self.root / index, read_categories(self.root), self._files
        )
        self.notes = (*vocabulary.notes, *notes)
        _check_first_masks(self._files, self._rows)
        options = _options(index, links, fetched_size)
        self._source = f"broden:{root}{options}" if root else f"broden{options}"
        self._index = index

    @cached_property
    def identity(self) -> Identity:
        """Identity; the sizes of many files take a while, at the first look at it."""
        content = _fingerprint(self.root, self._index, self._rows)
        return Identity("broden", self._source, VERSION, content)

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """Return the image's path below images/."""
        return image_entry(self._rows, index).image

    def split(self, index: int) -> str:
        """Return the image's split as the index names it, such as train or val."""
        return image_entry(self._rows, index).split

    def files(self, index: int) -> list[Path]:
        """Return the files of the image and of its masks."""
        return [
            self.root / "images" / path
            for path in _paths(image_entry(self._rows, index))
        ]

    def image(self, index: int) -> Image.Image:
        """Return the image, decoded, as it is stored.

        Raises ValueError for one whose EXIF orientation contradicts index.csv.
        """
        row = image_entry(self._rows, index)
        path = self._files.path(row.image)
        image = read_picture(path)
        _check_index_is_upright(row, measure_picture(path, image))
        return image

    def annotation(self, index: int) -> Annotation:
        """Return all planes and whole-image labels of the image.

        Raises ValueError for an unreadable mask, a mask whose size contradicts index.csv, and a
        label number that label.csv does not list.
        """
        row = image_entry(self._rows, index)
        image_size = self._image_size(row) if row.planes else None
        planes = [self._plane(path, row, image_size) for path in row.planes]
        numbers = np.array(row.numbers, dtype=np.int32)
        labels = self._labels.values_of(numbers, "index.csv")
        return Annotation(
            planes, tuple(int(value) for value in labels if value), row.size
        )

    def _image_size(self, row: Row) -> PictureSize:
        """Return the size that index.csv lists, else that of the file."""
        if row.image_size is not None:
            return PictureSize(row.image_size, row.image_size)
        return measure_picture(self._files.path(row.image))

    def _plane(
        self, path: str, row: Row, image_size: PictureSize | None
    ) -> npt.NDArray[np.integer[Any]]:
        """Read a mask as a plane of concept values, (row, column)."""
        mode, pixels = read_mask(self._files.path(path), f"the mask {path}")
        if mode not in ("RGB", "RGBA"):
            raise ValueError(
                f"the mask {path} is of mode {mode}; "
                "expected RGB, where the label number is red + 256 * green"
            )
        height, width, _ = pixels.shape
        if row.size is not None and (height, width) != row.size:
            raise ValueError(
                f"the mask {path} is {height}x{width}, but the index says "
                f"{row.size[0]}x{row.size[1]} (sh x sw)"
            )
        if image_size is not None:
            mask_size = (height, width)
            what = f"the mask {path}"
            check_aspect(mask_size, image_size.upright, what, image_size.stored)
        return self._labels.plane(pixels.astype(np.uint8, copy=False), path)


def _check_index_is_upright(row: Row, size: PictureSize) -> None:
    """Check sizes in index.csv against an image that its EXIF orientation turns.

    Raises ValueError for sizes of the image as it is stored: its masks are not of the upright one.
    """
    if size.upright == size.stored:
        return
    for columns, listed in (("ih x iw", row.image_size), ("sh x sw", row.size)):
        if listed is not None:
            check_aspect(
                listed, size.upright, f"{columns} in index.csv", size.stored
            )


def _check_first_masks(files: NamedFiles, rows: Sequence[Row]) -> None:
    """Refuse a set whose first masks are of a lossy format."""
    planes = next((row.planes for row in rows if row.planes), ())
    for path in planes:
        check_mask_format(files.path(path), f"the mask {path}")


def named_index(root: Path, index: str, links: str) -> None:
    """Raise ConceptSetInvalid for an index file that is outside a set's folder."""
    NamedFiles(root, root, links == FOLLOW, REMEDY).check(index, f"index={index}")


def named_files(root: Path, links: str) -> NamedFiles:
    """Return the files below images/. Raises ConceptSetInvalid for no known way with links."""
    if links not in LINKS:
        raise ConceptSetInvalid(
            f"broden: links={links} is none of {', '.join(LINKS)}"
        )
    return NamedFiles(root, root / "images", links == FOLLOW, REMEDY)


def _options(index: str, links: str, fetched_size: str) -> str:
    """Return the options of a set's text, without defaults."""
    options = []
    if fetched_size:
        options.append(f"size={fetched_size}")
    if index != "index.csv":
        options.append(f"index={index}")
    if links != LINKS[0]:
        options.append(f"links={links}")
    return f"?{'&'.join(options)}" if options else ""


def _paths(row: Row) -> list[str]:
    """Return the paths of an image and its masks, below images/."""
    return [row.image, *row.planes]


def _fingerprint(root: Path, index: str, rows: Sequence[Row]) -> str:
    """Return the fingerprint of the tables, and of the names and sizes of all images and masks."""
    tables = [root / index, root / "label.csv", root / "category.csv"]
    tables += sorted(root.glob("c_*.csv"))
    content = [path.name.encode() + path.read_bytes() for path in tables]
    folder = os.fspath(root / "images")
    for row in rows:
        for path in _paths(row):
            content.append(os.fsencode(f"{path} {_size_in_bytes(folder, path)}\n"))
    return fingerprint(content)


def _size_in_bytes(folder: str, path: str) -> int:
    """Return a file's size, or -1 for none: reading that file is what reports it."""
    try:
        # not a Path for each: Broden has hundreds of thousands
        return os.stat(f"{folder}/{path}").st_size  # noqa: PTH116
    except (OSError, ValueError):
        return -1
