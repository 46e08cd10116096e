"""Export of a concept set to the masks format (docs/method.md)."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.concepts.export.layout import ExportImage
from nd_plugin.concepts.export.vocabulary import (
    check_file_names,
    check_names,
    used_categories,
)
from nd_plugin.concepts.masks_layout.tables import (
    ImageLabel,
    MaskValues,
    label_table,
)
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.storage.durable_files import create_file, create_unsynced

NUMBERED = re.compile(r"\.[0-9]+$")  # end of the name of a further mask


@dataclass(frozen=True)
class WrittenImage:
    """Image that was written, with its part of the tables."""

    image: str  # path below images/
    stem: str
    split: str
    size: Size
    masked: tuple[str, ...]  # categories that have a mask
    labels: tuple[ImageLabel, ...]


@dataclass(frozen=True)
class MasksExport:
    """Writer of a concept set in the masks format."""

    concepts: ConceptSet
    has_one_size = False
    suffixes = NUMBERED

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Categories that have a concept."""
        return used_categories(self.concepts)

    @cached_property
    def values(self) -> MaskValues:
        """Values of the masks. Raises ConceptSetInvalid for more than a mask holds."""
        return MaskValues(self.concepts.concepts)

    def check_vocabulary(self) -> list[str]:
        """Check that the tables hold all concepts. Raises ConceptSetInvalid."""
        check_names(self.concepts)
        check_file_names(self.categories, "/\\", ())
        notes = []
        if any(concept.synonyms for concept in self.concepts.concepts):
            notes.append("the masks format has no synonyms: they were left out")
        in_order = dict.fromkeys(
            concept.category for concept in self.concepts.concepts
        )
        if tuple(in_order) != self.categories:
            notes.append(
                "the masks format lists categories in the order of their first concepts: "
                + ", ".join(in_order)
            )
        # more than a mask holds is found here, not in a worker
        self.values.concept_table()
        return notes

    def may_copy(self, image: Image.Image, ending: str) -> bool:
        """Return whether a file is found by its ending, and of a format that Pillow reads."""
        format_of_ending = Image.registered_extensions().get(ending.lower())
        return format_of_ending is not None and format_of_ending in Image.OPEN

    def write(self, root: Path, image: ExportImage) -> WrittenImage:
        """Write the picture and the masks of an image. Raises OSError."""
        picture = image.picture
        name = f"{image.stem}{picture.ending}"
        content = picture.content or _png(picture.rgb)
        _write(root / "images" / name, content)
        for category, planes in image.planes.items():
            for number, plane in enumerate(planes):
                mask = self.values.of_plane(plane, category)
                _write(mask_path(root, category, image.stem, number), encode(mask))
        if not image.planes and image.size and self.concepts.native_masks:
            # an empty mask tells the size at which whole-image labels are compared
            write_empty_mask(root, self.categories[0], image.stem, image.size)
        labels = []
        for values in image.labels.values():
            for value in values:
                concept = self.concepts.concepts[value - 1]
                labels.append(ImageLabel(name, concept.category, concept.name))
        size = (picture.rgb.height, picture.rgb.width)
        masked = tuple(image.planes)
        return WrittenImage(
            name, image.stem, image.split, size, masked, tuple(labels)
        )

    def new_tables(self) -> MasksTables:
        """Return the tables, without an image so far."""
        return MasksTables(self.categories, self.values)


@dataclass
class MasksTables:
    """Tables of the masks format: concepts, and labels of whole images."""

    categories: tuple[str, ...]
    values: MaskValues
    images: list[str] = field(default_factory=list)
    labels: list[ImageLabel] = field(default_factory=list)
    used: set[str] = field(default_factory=set)  # categories
    has_splits: bool = False
    first: WrittenImage | None = None

    def add(self, written: WrittenImage) -> None:
        """Add an image."""
        self.first = self.first or written
        self.images.append(written.image)
        self.labels += written.labels
        self.used.update(written.masked)
        self.used.update(label.category for label in written.labels)
        self.has_splits = self.has_splits or bool(written.split)

    def write(self, root: Path) -> list[str]:
        """Write the tables, and an empty mask for a category that no image has.

        Raises OSError.
        """
        notes = self._fill_categories(root)
        if self.has_splits:
            notes.append("the masks format has no splits: they were left out")
        if self.images != sorted(self.images):
            notes.append(
                "the masks format lists images in the order of their names, which is not the "
                "order of the set: a dissection with --limit takes others"
            )
        create_file(root / "concepts.csv", self.values.concept_table().encode())
        if self.labels:
            content = label_table(self.labels).encode()
            create_file(root / "image_labels.csv", content)
        return notes

    def _fill_categories(self, root: Path) -> list[str]:
        """Give an empty mask to categories that no image has; return notes on them."""
        notes = []
        for category in self.categories:
            is_there = category in self.used or (root / "masks" / category).is_dir()
            if self.first is not None and not is_there:
                write_empty_mask(root, category, self.first.stem, self.first.size)
                notes.append(
                    f"no image has the category {category!r}: an empty mask stands for it"
                )
        return notes


def write_empty_mask(root: Path, category: str, stem: str, size: Size) -> None:
    """Write a mask without a label, as the first of an image. Raises OSError."""
    _write(mask_path(root, category, stem, 0), encode(np.zeros(size, np.uint8)))


def mask_path(root: Path, category: str, stem: str, number: int) -> Path:
    """Return the path of an image's mask: NAME.png, then NAME.1.png, NAME.2.png …"""
    suffix = f".{number}" if number else ""
    return root / "masks" / category / f"{stem}{suffix}.png"


def encode(mask: npt.NDArray[np.unsignedinteger[Any]]) -> bytes:
    """Return the PNG of a mask (row, column): grey, of 8 or 16 bits a pixel."""
    return _png(Image.fromarray(mask))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Write a new file of an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    create_unsynced(path, content)
