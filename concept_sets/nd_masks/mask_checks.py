"""Checks of one image of a set in the masks format: its file, its masks, the values on them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
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
VALUES_NAMED = 5  # of those that a table does not list


@dataclass(frozen=True)
class EntryResult:
    """Faults of an image and its masks, and the plane values that it has."""

    faults: tuple[Fault, ...]
    values: tuple[int, ...]
    # category, place and values of masks with values that are not listed
    unlisted: tuple[tuple[str, str, frozenset[int]], ...]


@dataclass
class UnlistedValues:
    """Values in the masks of a category that concepts.csv does not list."""

    first_place: str
    masks: int = 0
    values: set[int] = field(default_factory=set)

    def add(self, values: Set[int]) -> None:
        """Add the values of a further mask."""
        self.masks += 1
        self.values |= values

    def problem(self, category: str) -> str:
        """Describe the values, and how many masks have them."""
        ordered = sorted(self.values)
        named = ", ".join(map(str, ordered[:VALUES_NAMED]))
        if len(ordered) > VALUES_NAMED:
            named += f" and {len(ordered) - VALUES_NAMED} more"
        where = self.first_place
        if self.masks > 1:
            where = f"{self.masks} masks, such as {where}"
        return (
            f"it does not list {named} of category {category!r}, found in {where}"
        )


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
        labels = set(entry.labels)
        unlisted = []
        for category, path in entry.masks:
            listed = self.plane_values[category]
            values = self._check_mask(path, size, faults)
            labels |= {listed[value] for value in values if value in listed}
            unknown = values.difference(listed, [0])
            if unknown:
                unlisted.append((category, f"masks/{path}", frozenset(unknown)))
        return EntryResult(tuple(faults), tuple(sorted(labels)), tuple(unlisted))

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
        self, name: str, size: PictureSize | None, faults: list[Fault]
    ) -> set[int]:
        """Return the values on a mask, none of one that cannot be read."""
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
        return set(np.unique(pixels).tolist())
