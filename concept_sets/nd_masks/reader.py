"""Reader of folders of images and masks.

::

    ROOT/images/**/NAME.(jpg|png|…)
    ROOT/masks/CATEGORY/**/NAME.png        one index per pixel: 8 or 16 bit grey, or palette
    ROOT/masks/CATEGORY/**/NAME.1.png …    further planes of the same category
    ROOT/concepts.csv                      category,value,name; other values are unlabelled
    ROOT/image_labels.csv                  image,category,name (optional)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_masks.checks import (
    INDEX_MODES,
    check_categories_are_folders,
    check_categories_have_masks,
    check_folders_are_listed,
    check_modes,
    no_concepts,
    wrong_mode,
)
from nd_masks.entries import (
    entries_fingerprint,
    labels_of_images,
    match_masks,
    mismatches,
)
from nd_masks.files import existing_folder, find_images, find_masks
from nd_masks.tables import (
    CONCEPT_COLUMNS,
    LABEL_COLUMNS,
    concept_of,
    read_csv,
    value_tables,
)
from nd_plugin import (
    Annotation,
    ConceptSetInvalid,
    Identity,
    PictureSize,
    TableLine,
    check_aspect,
    measure_picture,
    read_mask,
    read_picture,
)
from nd_plugin.reading import image_entry, native_masks_of, unlisted_remarks

VERSION = "1"


class Masks:
    """Custom concepts in the masks format (docs/method.md).

    Raises ConceptSetInvalid for a folder that is not in this format.
    """

    def __init__(self, root: str) -> None:
        self.root = existing_folder(root)
        self.native_masks = native_masks_of(self.root, False)
        concept_lines, label_lines = self._read_tables()
        lines = [*concept_lines, *label_lines]
        self.concepts = tuple(dict.fromkeys(concept_of(line) for _, line in lines))
        self.categories = tuple(
            dict.fromkeys(concept.category for concept in self.concepts)
        )
        plane_values = {
            concept: value for value, concept in enumerate(self.concepts, start=1)
        }
        check_categories_are_folders(self.root, concept_lines)
        self._tables = value_tables(concept_lines, plane_values)
        images = find_images(self.root)
        labels = labels_of_images(images, label_lines, plane_values)
        masks, notes_on_masks = find_masks(self.root, self._tables, images.paths)
        self.entries = match_masks(labels, masks)
        self.notes = (
            *images.notes("images"),
            *notes_on_masks,
            *mismatches(self.entries, masks),
        )
        check_categories_have_masks(
            self.root, self._tables, self.entries, self.concepts
        )
        check_folders_are_listed(self.root, self._tables)
        check_modes(self.root, self.entries)
        source = f"masks:{root}"
        self.identity = Identity(
            "masks", source, VERSION, entries_fingerprint(self.root, self.entries)
        )

    def __len__(self) -> int:
        return len(self.entries)

    def name(self, index: int) -> str:
        """Return the image's path below images/."""
        return image_entry(self.entries, index).image

    def files(self, index: int) -> list[Path]:
        """Return the files of the image and of its masks."""
        entry = image_entry(self.entries, index)
        masks = [self.root / "masks" / path for _, path in entry.masks]
        return [self.root / "images" / entry.image, *masks]

    def image(self, index: int) -> Image.Image:
        """Return the image, decoded, as it is stored."""
        return read_picture(
            self.root / "images" / image_entry(self.entries, index).image
        )

    def annotation(self, index: int) -> Annotation:
        """Return planes at their own sizes, and whole-image labels.

        Raises ValueError for a mask that is unreadable, in colour or a lossy format, or of another
        aspect than its upright image.
        """
        entry = image_entry(self.entries, index)
        size = measure_picture(self.root / "images" / entry.image)
        planes = []
        remarks: list[str] = []
        for category, path in entry.masks:
            values = self._mask_values(path, size)
            plane, unlisted = self._tables[category].plane(values)
            planes.append(plane)
            masks = f"masks of category {category!r}"
            remarks += unlisted_remarks(unlisted, masks, "concepts.csv")
        return Annotation(planes, entry.labels, remarks=tuple(remarks))

    def _read_tables(self) -> tuple[list[TableLine], list[TableLine]]:
        """Return the lines of concepts.csv and image_labels.csv, of which one may be absent."""
        concept_lines = read_csv(self.root / "concepts.csv", CONCEPT_COLUMNS)
        label_lines = read_csv(self.root / "image_labels.csv", LABEL_COLUMNS)
        if not concept_lines and not label_lines:
            raise ConceptSetInvalid(no_concepts(self.root))
        return concept_lines, label_lines

    def _mask_values(
        self, path: str, size: PictureSize
    ) -> npt.NDArray[np.integer[Any]]:
        """Read the values of a mask, (row, column), of an image of this size."""
        mode, pixels = read_mask(self.root / "masks" / path, f"the mask {path}")
        if mode not in INDEX_MODES:
            raise ValueError(wrong_mode(path, mode))
        height, width = pixels.shape
        check_aspect((height, width), size.upright, f"the mask {path}", size.stored)
        return pixels
