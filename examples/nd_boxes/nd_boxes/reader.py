"""Concept set of the bounding boxes of a data set of Hugging Face."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from nd_boxes.loading import load_splits
from nd_boxes.painting import FORMATS, Box, box_of, paint
from nd_boxes.rows import Rows, chosen_splits, text_of, with_columns
from nd_plugin import (
    Annotation,
    ConceptSetInvalid,
    Identity,
    fingerprint,
    measure_picture,
    read_picture,
)
from nd_plugin.reading import (
    Vocabulary,
    add_named_values,
    check_pixel_count,
    parse_ignored,
    read_value_names,
    set_text,
)

VERSION = "1"  # to be raised whenever planes change
DEFAULTS = {"format": "xywh", "category": "object"}
MOST_HASHED = 16  # rows whose content the fingerprint is of
UNREADABLE = b"unreadable"  # reading such a row is what reports it

CLIPPED = "boxes reach beyond their image and are clipped: is format={} right?"
EMPTY = "boxes without area, or that no pixel is inside, are left out"
UNKNOWN = "boxes of classes without a name are left out: {}"


class Boxes:
    """Images with the bounding boxes of classes, in a table of Hugging Face's.

    Parameters
    ----------
    argument
        Folder that save_to_disk has written, opened without network, or name on the hub.
    config
        Configuration of a data set on the hub.
    split
        Split to read; "" for all that have the columns.
    image, objects, bbox, label
        Names of the columns of images and of objects, and of the objects' fields of boxes and of
        classes; "" to find them (`columns.find_columns`).
    format
        What a box's four numbers are: one of `painting.FORMATS`.
    names
        File with the names of classes (``value,name`` or JSON); "" for those of the data set.
    category
        Category of the concepts.
    ignore
        Classes that are "no label", with commas between them.

    Raises ConceptSetInvalid for what is no such data set.
    """

    native_masks = False

    def __init__(
        self,
        argument: str,
        *,
        config: str = "",
        split: str = "",
        image: str = "",
        objects: str = "",
        bbox: str = "",
        label: str = "",
        format: str = DEFAULTS["format"],
        names: str = "",
        category: str = DEFAULTS["category"],
        ignore: str = "",
    ) -> None:
        if format not in FORMATS:
            known = "; ".join(f"{name}: {what}" for name, what in FORMATS.items())
            raise ConceptSetInvalid(
                f"boxes: no format {format!r}; known are {known}"
            )
        self._format = format
        self._ignored = parse_ignored(ignore, "boxes")
        splits = chosen_splits(load_splits(argument, config), split)
        reduced, self._columns, left_out = with_columns(
            splits, image, objects, bbox, label
        )
        self._rows = Rows(reduced, self._columns)
        vocabulary = Vocabulary()
        self._values = add_named_values(
            vocabulary,
            self._class_names(names),
            category,
            self._ignored,
            f"classes of boxes:{argument}",
        )
        self.concepts = vocabulary.concepts
        self.categories = vocabulary.categories
        self.notes = (
            f"images are in the column {self._columns.image!r}, boxes in "
            f"{self._columns.objects!r} ({self._columns.bbox}, {self._columns.label}): "
            f"{FORMATS[format]}",
            *left_out,
            *self._fingerprint_notes(),
        )
        options = {
            "config": config,
            "split": split,
            "image": image,
            "objects": objects,
            "bbox": bbox,
            "label": label,
            "format": format,
            "names": names,
            "category": category,
            "ignore": ignore,
        }
        self._source = set_text("boxes", argument, options, DEFAULTS)

    def _class_names(self, file: str) -> Mapping[int, str]:
        """Return the names of classes. Raises ConceptSetInvalid for numbers without names."""
        if file:
            return read_value_names(file)
        if self._columns.class_names:
            return dict(enumerate(self._columns.class_names))
        raise ConceptSetInvalid(
            f"boxes: the classes in {self._columns.label!r} are no ClassLabel and have no names: "
            "give names=FILE.csv (with the columns value,name) or names=id2label.json"
        )

    def _fingerprint_notes(self) -> tuple[str, ...]:
        if len(self) <= MOST_HASHED:
            return ()
        return (
            f"the fingerprint is of {MOST_HASHED} of {len(self)} rows, spread evenly: "
            "--verify-data hashes all of the files",
        )

    @cached_property
    def identity(self) -> Identity:
        """Identity; some rows are read for the fingerprint, at the first look at it."""
        content = fingerprint(self._identifying_chunks())
        return Identity("boxes", self._source, VERSION, content)

    def _identifying_chunks(self) -> Iterator[bytes]:
        """Yield what decides images and planes, and the content of some rows."""
        yield from text_of(self._rows.lengths)
        yield f"{self._columns} {self._format} {self._ignored}\n".encode()
        for value, number in self._values.items():
            concept = self.concepts[number - 1]
            yield f"{value} {concept.name} {concept.category}\n".encode()
        count = min(len(self), MOST_HASHED)
        for number in range(count):
            yield self._identifying_content(number * len(self) // count)

    def _identifying_content(self, index: int) -> bytes:
        try:
            image = self._rows.image_content(index)
            return image + repr(self._rows.boxes(index)).encode()
        except ValueError:
            return UNREADABLE

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """Return the split and the row, such as ``validation/000012``."""
        return self._rows.name(index)

    def split(self, index: int) -> str:
        """Return the split."""
        return self._rows.position(index)[0]

    def files(self, index: int) -> list[Path]:
        """Return the files of a split for its first row: all rows are in the same files."""
        return self._rows.files(index)

    def image(self, index: int) -> Image.Image:
        """Return the image, decoded, as it is stored."""
        return read_picture(self._rows.image_content(index))

    def annotation(self, index: int) -> Annotation:
        """Return the boxes painted as planes of the upright image, overlaps in further planes.

        Raises ValueError for what are no boxes.
        """
        size = measure_picture(self._rows.image_content(index)).upright
        check_pixel_count(size, f"the image of {self.name(index)}")
        boxes: list[Box] = []
        unnamed: set[str] = set()
        for numbers, label in self._rows.boxes(index):
            if label in self._ignored:
                continue
            if label in self._values:
                boxes.append(self._box(numbers, size, self._values[label], index))
            else:
                unnamed.add(str(label))
        filled = [box for box in boxes if not box.is_empty]
        planes, unpainted = paint(filled, size, len(self.concepts))
        remarks = []
        if any(box.reaches_beyond(size) for box in filled):
            remarks.append(CLIPPED.format(self._format))
        if len(filled) < len(boxes) or unpainted:
            remarks.append(EMPTY)
        if unnamed:
            remarks.append(UNKNOWN.format(", ".join(sorted(unnamed))))
        return Annotation(planes, remarks=tuple(remarks))

    def _box(
        self, numbers: Any, size: tuple[int, int], value: int, index: int
    ) -> Box:
        if numbers is None or len(numbers) != 4:
            raise ValueError(
                f"a box of {self.name(index)} is {numbers}, and not of four numbers"
            )
        known = [math.nan if number is None else number for number in numbers]
        return box_of(known, self._format, size, value)
