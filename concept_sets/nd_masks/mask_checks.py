"""Checks of one image of a set in the masks format: its file, its masks, the values on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nd_masks.checks import INDEX_MODES, wrong_mode
from nd_masks.entries import Entry
from nd_plugin import (
    PictureSize,
    check_aspect,
    checked_checksums,
    describe_error,
    measure_picture,
    read_mask,
    read_picture,
)
from nd_plugin.reading import rule_of_unreadable

Fault = tuple[str, str, str]  # rule, place, problem


@dataclass(frozen=True)
class EntryResult:
    """Faults of an image and its masks, and the plane values that it has."""

    faults: tuple[Fault, ...]
    values: tuple[int, ...]


@dataclass(frozen=True)
class EntryChecker:
    """Check of entries; called with one, it reads its image and its masks."""

    root: Path
    # plane values by category and mask value
    plane_values: Mapping[str, Mapping[int, int]]

    def __call__(self, entry: Entry) -> EntryResult:
        """Return the faults of an entry's files, and its plane values."""
        faults: list[Fault] = []
        size = self._check_image(entry.image, faults)
        values = set(entry.labels)
        for category, path in entry.masks:
            values |= self._check_mask(category, path, size, faults)
        return EntryResult(tuple(faults), tuple(sorted(values)))

    def _check_image(self, name: str, faults: list[Fault]) -> PictureSize | None:
        """Return an image's size, None if it cannot be read."""
        path = self.root / "images" / name
        try:
            return measure_picture(path, read_picture(path))
        except Exception as error:  # a decoder may raise anything
            rule = rule_of_unreadable(error, "image")
            problem = f"it cannot be read: {describe_error(error)}"
            faults.append((rule, f"images/{name}", problem))
            return None

    def _check_mask(
        self,
        category: str,
        name: str,
        size: PictureSize | None,
        faults: list[Fault],
    ) -> set[int]:
        """Return the plane values on a mask, none of one that cannot be read."""
        place = f"masks/{name}"
        try:
            with checked_checksums():
                mode, pixels = read_mask(self.root / "masks" / name, "the mask")
        except Exception as error:
            rule = rule_of_unreadable(error, "mask")
            faults.append((rule, place, str(error)))
            return set()
        if mode not in INDEX_MODES:
            faults.append(("mask-mode", place, wrong_mode(name, mode)))
            return set()
        height, width = pixels.shape
        try:
            if size is not None:
                check_aspect((height, width), size.upright, "the mask", size.stored)
        except ValueError as error:
            faults.append(("mask-aspect", place, str(error)))
        values = np.unique(pixels).tolist()
        listed = self.plane_values[category]
        return {listed[value] for value in values if value in listed}
