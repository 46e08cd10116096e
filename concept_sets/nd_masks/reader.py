"""Reader of folders of images and masks.

::

    ROOT/images/**/NAME.(jpg|png|…)
    ROOT/masks/CATEGORY/**/NAME.png        one index per pixel: 8 or 16 bit grey, or palette
    ROOT/masks/CATEGORY/**/NAME.1.png …    further planes of the same category
    ROOT/concepts.csv                      category,value,name; other values are unlabelled
    ROOT/image_labels.csv                  image,category,name (optional)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_masks.checks import (
    INDEX_MODES,
    check_categories_have_masks,
    check_folders_are_listed,
    check_modes,
    wrong_mode,
)
from nd_masks.entries import (
    entries_fingerprint,
    labels_of_images,
    match_masks,
    mismatches,
)
from nd_masks.files import existing_folder, find_images, find_masks
from nd_masks.tables import UNLISTED, concept_of, read_csv, value_tables
from nd_plugin import (
    Annotation,
    ConceptSetInvalid,
    Identity,
    TableLine,
    check_aspect,
    read_mask,
)

VERSION = "1"


class Masks:
    """Custom concepts in the masks format (docs/method.md).

    Raises ConceptSetInvalid for a folder that is not in this format.
    """

    native_masks = False

    def __init__(self, root: str) -> None:
        self.root = existing_folder(root)
        concept_lines, label_lines = self._read_tables()
        lines = [*concept_lines, *label_lines]
        self.concepts = tuple(dict.fromkeys(concept_of(line) for _, line in lines))
        self.categories = tuple(
            dict.fromkeys(concept.category for concept in self.concepts)
        )
        plane_values = {
            concept: value for value, concept in enumerate(self.concepts, start=1)
        }
        self._tables = value_tables(concept_lines, plane_values)
        labels = labels_of_images(find_images(self.root), label_lines, plane_values)
        masks = find_masks(self.root, self._tables)
        self.entries = match_masks(labels, masks)
        self.notes = tuple(mismatches(self.entries, masks))
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
        return self.entries[index].image

    def image(self, index: int) -> Image.Image:
        """Return the image, decoded."""
        with Image.open(self.root / "images" / self.entries[index].image) as image:
            image.load()
            return image

    def annotation(self, index: int) -> Annotation:
        """Return planes at their own sizes, and whole-image labels.

        Raises ValueError for a mask that is unreadable, in colour, or of another aspect than its
        image.
        """
        entry = self.entries[index]
        with Image.open(self.root / "images" / entry.image) as image:
            image_size = (image.height, image.width)
        planes = [
            self._plane(category, path, image_size)
            for category, path in entry.masks
        ]
        return Annotation(planes, entry.labels)

    def _read_tables(self) -> tuple[list[TableLine], list[TableLine]]:
        """Return the lines of concepts.csv and image_labels.csv, of which one may be absent."""
        concept_lines = read_csv(
            self.root / "concepts.csv", ("category", "value", "name")
        )
        label_lines = read_csv(
            self.root / "image_labels.csv", ("image", "category", "name")
        )
        if not concept_lines and not label_lines:
            raise ConceptSetInvalid(
                f"no concepts in {self.root}; list them in concepts.csv (category,value,name), "
                "in image_labels.csv (image,category,name), or in both"
            )
        return concept_lines, label_lines

    def _plane(
        self, category: str, path: str, image_size: tuple[int, int]
    ) -> npt.NDArray[np.int32]:
        """Read a mask as a plane of concept values, (row, column)."""
        mode, pixels = read_mask(self.root / "masks" / path, f"the mask {path}")
        if mode not in INDEX_MODES:
            raise ValueError(wrong_mode(path, mode))
        height, width = pixels.shape
        check_aspect((height, width), image_size, f"the mask {path}")
        mask_values = pixels.astype(np.int64)
        outside = (mask_values < 0) | (mask_values > UNLISTED)
        return self._tables[category][np.where(outside, UNLISTED, mask_values)]
