"""Concept set of a data set of Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from nd_huggingface.columns import CLASSES, MAP, choose_columns
from nd_huggingface.loading import load_splits
from nd_huggingface.rows import Rows, chosen_splits, with_columns
from nd_plugin import (
    Annotation,
    ConceptSetInvalid,
    Identity,
    check_aspect,
    expanded_home,
    fingerprint,
    measure_picture,
    read_mask,
    read_picture,
)
from nd_plugin.reading import (
    ValueTable,
    Vocabulary,
    add_named_values,
    parse_ignored,
    read_value_names,
    set_text,
    unlisted_remarks,
)

VERSION = "1"
INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
NAMES_FILE = "id2label.json"  # beside the data, as many data sets have it
MOST_HASHED = 16  # rows whose content the fingerprint is of


class HuggingFace:
    """Images with label maps, or with classes of the whole image, in a table of Hugging Face's.

    Parameters
    ----------
    argument
        Folder, which is opened without network, or name of a data set on the hub.
    config
        Configuration of the data set.
    split
        Split to read; "" for all that have the columns.
    image, label
        Names of the columns; "" to find them (`columns.choose_columns`).
    names
        File with the names of values (``value,name`` or JSON); "" for those that the data set has.
    category
        Category of the concepts; "" for ``object``, of classes of the whole image ``scene``.
    ignore
        Values that are "no label", with commas between them.

    Raises ConceptSetInvalid for what is no such data set, and Unavailable without the library.
    """

    native_masks = False

    def __init__(
        self,
        argument: str,
        *,
        config: str = "",
        split: str = "",
        image: str = "",
        label: str = "",
        names: str = "",
        category: str = "",
        ignore: str = "",
    ) -> None:
        folder = expanded_home(argument)
        self._folder = folder if argument and folder.is_dir() else None
        splits = chosen_splits(load_splits(argument, config), split)
        self._columns = choose_columns(splits, image, label)
        complete_splits, left_out = with_columns(splits, self._columns)
        self._rows = Rows(complete_splits, self._columns, self._folder)
        self._ignored = parse_ignored(ignore, "huggingface")
        vocabulary = Vocabulary()
        self._values = add_named_values(
            vocabulary,
            self._value_names(names),
            category or self._default_category(),
            self._ignored,
            f"names of huggingface:{argument}",
        )
        self.concepts = vocabulary.concepts
        self.categories = vocabulary.categories
        self._table = ValueTable.of(self._values, len(self.concepts))
        self.notes = (self._column_note(), *left_out, *self._fingerprint_notes())
        options = {
            "config": config,
            "split": split,
            "image": image,
            "label": label,
            "names": names,
            "category": category,
            "ignore": ignore,
        }
        self._source = set_text("huggingface", argument, options)

    def _default_category(self) -> str:
        return "object" if self._columns.kind == MAP else "scene"

    def _column_note(self) -> str:
        columns = self._columns
        return (
            f"images are in the column {columns.image!r}, labels in {columns.label!r} "
            f"({columns.kind})"
        )

    def _fingerprint_notes(self) -> tuple[str, ...]:
        if len(self) <= MOST_HASHED:
            return ()
        return (
            f"the fingerprint is of {MOST_HASHED} of {len(self)} rows, spread evenly: "
            "--verify-data hashes all of the files",
        )

    def _value_names(self, file: str) -> Mapping[int, str]:
        """Return the names of values. Raises ConceptSetInvalid for label maps without names."""
        if file:
            return read_value_names(file)
        if self._columns.class_names:
            return dict(enumerate(self._columns.class_names))
        if self._folder is not None and (self._folder / NAMES_FILE).is_file():
            return read_value_names(str(self._folder / NAMES_FILE))
        raise ConceptSetInvalid(
            f"huggingface: the values of the column {self._columns.label!r} have no names: give "
            "names=FILE.csv (with the columns value,name) or names=id2label.json"
        )

    @cached_property
    def identity(self) -> Identity:
        """Identity; some rows are read for the fingerprint, at the first look at it."""
        content = fingerprint(self._identifying_chunks())
        return Identity("huggingface", self._source, VERSION, content)

    def _identifying_chunks(self) -> Iterator[bytes]:
        """Yield the splits, columns and names, and the content of some rows."""
        for name, length in self._rows.lengths.items():
            yield f"{name} {length}\n".encode()
        yield f"{self._columns} {self._ignored}\n".encode()
        for value, number in self._values.items():
            concept = self.concepts[number - 1]
            yield f"{value} {concept.name} {concept.category}\n".encode()
        count = min(len(self), MOST_HASHED)
        for number in range(count):
            yield self._rows.identifying_content(number * len(self) // count)

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """Return the split and the row, such as ``validation/000012``."""
        return self._rows.name(index)

    def split(self, index: int) -> str:
        """Return the split."""
        return self._rows.position(index)[0]

    def files(self, index: int) -> list[Path]:
        """Return the files of a split for its first row, and none for others.

        All rows are in the same files, which are hashed once so.
        """
        return self._rows.files(index)

    def image(self, index: int) -> Image.Image:
        """Return the image, decoded, as it is stored."""
        return read_picture(self._rows.image_content(index))

    def annotation(self, index: int) -> Annotation:
        """Return the plane of the label map, or the classes of the whole image.

        Raises ValueError for a map that cannot be read, or has not the image's aspect.
        """
        if self._columns.kind != MAP:
            return Annotation((), self._whole_labels(self._rows.label(index)))
        what = f"the label map of {self.name(index)}"
        mode, pixels = read_mask(self._rows.label_content(index), what)
        if mode not in INDEX_MODES:
            raise ValueError(
                f"{what} is of mode {mode}; a label map has one index per pixel"
            )
        size = measure_picture(self._rows.image_content(index))
        height, width = pixels.shape
        check_aspect((height, width), size.upright, what, size.stored)
        plane, unlisted = self._table.plane(pixels)
        unnamed = unlisted.difference(self._ignored)
        remarks = unlisted_remarks(unnamed, "label maps", "names")
        return Annotation([plane], remarks=remarks)

    def _whole_labels(self, label: Any) -> tuple[int, ...]:
        """Return the labels of a row; -1 and None are no label, as in splits for tests."""
        classes = label or () if self._columns.kind == CLASSES else (label,)
        values = [self._values[value] for value in classes if value in self._values]
        return tuple(dict.fromkeys(values))
