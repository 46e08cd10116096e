"""Reader of COCO: panoptic segments, instances and stuff (arXiv 1405.0312, 1801.00868)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_coco.instances import instance_planes, mask_library
from nd_coco.layout import (
    LAYOUT,
    find_tables,
    missing_masks,
    named_table,
)
from nd_coco.panoptic import segment_plane
from nd_coco.tables import Table, TableImage, read_annotations
from nd_coco.vocabulary import CATEGORY, read_vocabulary
from nd_plugin import (
    Annotation,
    ConceptSetInvalid,
    Identity,
    NamedFiles,
    PictureSize,
    check_aspect,
    fingerprint,
    measure_picture,
    read_picture,
)
from nd_plugin.reading import check_pixel_count, existing_root, set_text

VERSION = "2"  # 1: names with the suffixes that COCO adds
Plane = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Item:
    """Image of the set, of one of its tables."""

    table: int  # index of its table
    content: TableImage


class Coco:
    """COCO in its own layout, and other sets in its format.

    ``coco:ROOT`` reads the panoptic annotations of all splits that are there, else the instances,
    else the stuff. ``annotations`` names one table, ``images`` the folder that its names of images
    start from; both below ROOT. Things and stuff are of the category ``object``. Raises
    ConceptSetInvalid for a folder that is not in this layout, and Unavailable where instances need
    pycocotools, which is not installed.
    """

    native_masks = False
    categories = (CATEGORY,)

    def __init__(
        self, root: str, *, annotations: str = "", images: str = ""
    ) -> None:
        self.root = existing_root(root, "coco:ROOT", LAYOUT)
        layout_notes: list[str] = []
        if annotations:
            self._tables = [named_table(self.root, annotations, images)]
        else:
            self._tables, layout_notes = find_tables(self.root, images)
        contents = [
            read_annotations(self.root / files.table, files.table)
            for files in self._tables
        ]
        self._is_panoptic = [content.is_panoptic for content in contents]
        if not all(self._is_panoptic):
            mask_library()  # is missing at the start, and not at the first image
        vocabulary = read_vocabulary(content.categories for content in contents)
        self.concepts = vocabulary.concepts
        self._values = vocabulary.values
        self._dtype = np.min_scalar_type(len(self.concepts))
        self._images = [
            NamedFiles(self.root, self.root / files.images)
            for files in self._tables
        ]
        self._masks = [
            NamedFiles(self.root, self.root / files.masks) for files in self._tables
        ]
        self._items: list[Item] = []
        self.notes: tuple[str, ...] = tuple(layout_notes)
        for table, content in enumerate(contents):
            self._add_table(table, content)
        if not self._items:
            raise ConceptSetInvalid(
                f"no image of {self.root} is there: {'; '.join(self.notes)}; ROOT is {LAYOUT}"
            )
        options = {"annotations": annotations, "images": images}
        self._source = set_text("coco", root, options)

    def _add_table(self, table: int, content: Table) -> None:
        """Add the images of a table that are there. Raises ConceptSetInvalid."""
        files = self._tables[table]
        if content.is_panoptic and not files.masks:
            raise ConceptSetInvalid(f"{files.table}: {missing_masks(files)}")
        missing = []
        for image in content.images:
            self._images[table].check(image.name, f"{files.table}: images")
            if not (self._images[table].folder / image.name).exists():
                missing.append(image.name)
                continue
            if image.mask:
                self._masks[table].check(image.mask, f"{files.table}: annotations")
            self._items.append(Item(table, image))
        self.notes += content.notes
        if missing:
            self.notes += (
                f"{files.table}: {len(missing)} of {len(content.images)} images left out, which "
                f"are not in {files.images}/, for example {missing[0]}",
            )

    @cached_property
    def identity(self) -> Identity:
        """Identity; the sizes of many files take a while, at the first look at it."""
        content = fingerprint(self._identifying_chunks())
        return Identity("coco", self._source, VERSION, content)

    def _identifying_chunks(self) -> Iterator[bytes]:
        """Yield the tables, and the names and sizes of all images and masks."""
        for files in self._tables:
            yield files.table.encode()
            yield (self.root / files.table).read_bytes()
        for index in range(len(self._items)):
            for path in self.files(index):
                name = path.relative_to(self.root)
                yield os.fsencode(f"{name} {_size_in_bytes(path)}\n")

    def __len__(self) -> int:
        return len(self._items)

    def name(self, index: int) -> str:
        """Return the image's path below the set's folder."""
        item = self._items[index]
        folder = self._tables[item.table].images
        return str(PurePosixPath(folder, item.content.name))

    def split(self, index: int) -> str:
        """Return the split that the table's name tells: train, val or test; "" for none."""
        return self._tables[self._items[index].table].split

    def files(self, index: int) -> list[Path]:
        """Return the files of the image and of its panoptic mask.

        Instances are in the table, which the fingerprint is of.
        """
        item = self._items[index]
        paths = [self._images[item.table].folder / item.content.name]
        if item.content.mask:
            paths.append(self._masks[item.table].folder / item.content.mask)
        return paths

    def image(self, index: int) -> Image.Image:
        """Return the image, decoded, as it is stored."""
        item = self._items[index]
        return read_picture(self._images[item.table].path(item.content.name))

    def annotation(self, index: int) -> Annotation:
        """Return the planes of the image: one of segments, or as many as instances overlap.

        Raises ValueError for an unreadable mask, a segmentation that is malformed, and sizes that
        do not fit the image.
        """
        item = self._items[index]
        image_size = measure_picture(
            self._images[item.table].path(item.content.name)
        )
        check_aspect(
            item.content.size,
            image_size.upright,
            f"the size of {item.content.name} in the table",
            image_size.stored,
        )
        if self._is_panoptic[item.table]:
            return self._segments(item, image_size)
        check_pixel_count(
            item.content.size, f"the annotation of {item.content.name}"
        )
        records = json.loads(item.content.annotations)
        values = self._values[item.table]
        planes, remarks = instance_planes(
            records, values, item.content.size, self._dtype
        )
        return Annotation(planes, size=item.content.size, remarks=remarks)

    def _segments(self, item: Item, image_size: PictureSize) -> Annotation:
        """Return the plane of a panoptic mask; none of an image that has none."""
        if not item.content.mask:
            return Annotation((), size=item.content.size)
        values = self._values[item.table]
        segments = json.loads(item.content.annotations)
        segment_values = {
            number: values.get(category, 0) for number, category in segments
        }
        plane, remarks = segment_plane(
            self._masks[item.table].path(item.content.mask),
            f"the mask {item.content.mask}",
            segment_values,
            image_size,
            len(self.concepts),
        )
        return Annotation([plane], remarks=remarks)


def _size_in_bytes(path: Path) -> int:
    """Return a file's size, or -1 for a broken link: reading that file is what reports it."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
