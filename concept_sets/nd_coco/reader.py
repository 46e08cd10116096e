"""Reader of COCO: panoptic segments, instances and stuff (arXiv 1405.0312, 1801.00868)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from nd_coco.instances import instance_planes, mask_library
from nd_coco.layout import (
    LAYOUT,
    TableFiles,
    choose_tables,
    missing_masks,
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
from nd_plugin.reading import (
    check_pixel_count,
    existing_root,
    image_entry,
    set_text,
)

VERSION = "2"  # 1: names with the suffixes that COCO adds


@dataclass(frozen=True)
class OpenedTable:
    """Table of annotations, and what its entries refer to."""

    files: TableFiles
    is_panoptic: bool
    values: Mapping[int, int]  # of planes, by category
    images: NamedFiles
    masks: NamedFiles


@dataclass(frozen=True)
class Item:
    """Image of the set, of one of its tables."""

    table: OpenedTable
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
        table_files, layout_notes = choose_tables(self.root, annotations, images)
        contents = [
            read_annotations(self.root / files.table, files.table)
            for files in table_files
        ]
        if not all(content.is_panoptic for content in contents):
            mask_library()  # is missing at the start, and not at the first image
        vocabulary = read_vocabulary(content.categories for content in contents)
        self.concepts = vocabulary.concepts
        self._dtype = np.min_scalar_type(len(self.concepts))
        self._tables: list[OpenedTable] = []
        self._items: list[Item] = []
        self.notes: tuple[str, ...] = tuple(layout_notes)
        for files, content, values in zip(
            table_files, contents, vocabulary.values, strict=True
        ):
            self._add_table(files, content, values)
        if not self._items:
            raise ConceptSetInvalid(
                f"no image of {self.root} is there: {'; '.join(self.notes)}; ROOT is {LAYOUT}"
            )
        options = {"annotations": annotations, "images": images}
        self._source = set_text("coco", root, options)

    def _add_table(
        self, files: TableFiles, content: Table, values: Mapping[int, int]
    ) -> None:
        """Add a table, and those of its images that are there. Raises ConceptSetInvalid."""
        if content.is_panoptic and not files.masks:
            raise ConceptSetInvalid(f"{files.table}: {missing_masks(files)}")
        table = OpenedTable(
            files,
            content.is_panoptic,
            values,
            NamedFiles(self.root, self.root / files.images),
            NamedFiles(self.root, self.root / files.masks),
        )
        self._tables.append(table)
        missing = []
        for image in content.images:
            table.images.check(image.name, f"{files.table}: images")
            if not (table.images.folder / image.name).exists():
                missing.append(image.name)
                continue
            if image.mask:
                table.masks.check(image.mask, f"{files.table}: annotations")
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
        for table in self._tables:
            name = table.files.table
            yield name.encode()
            yield (self.root / name).read_bytes()
        for index in range(len(self._items)):
            for path in self.files(index):
                relative = path.relative_to(self.root)
                yield os.fsencode(f"{relative} {_size_in_bytes(path)}\n")

    def __len__(self) -> int:
        return len(self._items)

    def name(self, index: int) -> str:
        """Return the image's path below the set's folder."""
        item = image_entry(self._items, index)
        return str(PurePosixPath(item.table.files.images, item.content.name))

    def split(self, index: int) -> str:
        """Return the split that the table's name tells: train, val or test; "" for none."""
        return image_entry(self._items, index).table.files.split

    def files(self, index: int) -> list[Path]:
        """Return the files of the image and of its panoptic mask.

        Instances are in the table, which the fingerprint is of.
        """
        item = image_entry(self._items, index)
        paths = [item.table.images.folder / item.content.name]
        if item.content.mask:
            paths.append(item.table.masks.folder / item.content.mask)
        return paths

    def image(self, index: int) -> Image.Image:
        """Return the image, decoded, as it is stored."""
        item = image_entry(self._items, index)
        return read_picture(item.table.images.path(item.content.name))

    def annotation(self, index: int) -> Annotation:
        """Return the planes of the image: one of segments, or as many as instances overlap.

        Raises ValueError for an unreadable mask, a segmentation that is malformed, and sizes that
        do not fit the image.
        """
        item = image_entry(self._items, index)
        image_size = measure_picture(item.table.images.path(item.content.name))
        check_aspect(
            item.content.size,
            image_size.upright,
            f"the size of {item.content.name} in the table",
            image_size.stored,
        )
        if item.table.is_panoptic:
            return self._segments(item, image_size)
        check_pixel_count(
            item.content.size, f"the annotation of {item.content.name}"
        )
        records = json.loads(item.content.annotations)
        planes, remarks = instance_planes(
            records, item.table.values, item.content.size, self._dtype
        )
        return Annotation(planes, size=item.content.size, remarks=remarks)

    def _segments(self, item: Item, image_size: PictureSize) -> Annotation:
        """Return the plane of a panoptic mask; none of an image that has none."""
        if not item.content.mask:
            return Annotation((), size=item.content.size)
        values = item.table.values
        segments = json.loads(item.content.annotations)
        segment_values = {
            number: values.get(category, 0) for number, category in segments
        }
        plane, remarks = segment_plane(
            item.table.masks.path(item.content.mask),
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
