"""Folds of images, and sums of a layer's counts in each of them, while they grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from nd_plugin.errors import BadInput
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.annotations import Integers as AnyIntegers
from nd_plugin.method.annotations import to_smallest_type
from nd_plugin.method.counting import BatchCounts, UnitCounts
from nd_plugin.significance.fold_counts import FoldCounts, Integers
from nd_plugin.significance.random_numbers import FOLDS, random_state

# of the table of all places: fewer new entries wait to be added up
WAITING_SHARE = 8


def assign_folds(images: int, folds: int, seed: int) -> Integers:
    """Return the fold of each image, (image,).

    Folds have equally many images, or differ by one. They depend on the three numbers alone, so
    that all parts of a run agree. Raises BadInput for more folds than images.
    """
    if folds > images:
        raise BadInput(
            f"folds {folds} are more than the {images} images; give {images} or fewer"
        )
    order = random_state(seed, FOLDS).permutation(images)
    fold_of = np.empty(images, np.int64)
    fold_of[order] = np.arange(images) % folds
    return fold_of


@dataclass
class SparseSums:
    """Sums of integers at ``size`` numbered places, most of which stay 0.

    Memory: each place with a sum once, and at most as many entries again that wait to be added
    up (or an eighth of ``size``, if that is more), with up to 12 bytes each. Adding them up
    takes a table of all places for a moment.
    """

    size: int
    places: AnyIntegers  # (entry,) ascending
    sums: AnyIntegers  # (entry,)
    waiting: list[tuple[AnyIntegers, AnyIntegers]] = field(default_factory=list)
    waiting_count: int = 0

    @classmethod
    def empty(cls, size: int) -> SparseSums:
        """Return sums of nothing."""
        return cls(size, np.zeros(0, np.uint8), np.zeros(0, np.uint8))

    def add(self, places: Integers, values: AnyIntegers) -> None:
        """Add ``values`` at ``places`` (entry,), each place at most once."""
        self.waiting.append((to_smallest_type(places), values))
        self.waiting_count += len(places)
        if self.waiting_count > max(self.size // WAITING_SHARE, len(self.places)):
            self.compact()

    @classmethod
    def joined(cls, parts: Sequence[SparseSums]) -> SparseSums:
        """Add up the sums of all parts, at least one."""
        total = cls.empty(parts[0].size)
        for part in parts:
            part.compact()
            total.waiting.append((part.places, part.sums))
        total.compact()
        return total

    def compact(self) -> None:
        """Add up what waits."""
        if not self.waiting:
            return
        table = np.zeros(self.size, np.int64)
        table[self.places] = self.sums
        for places, values in self.waiting:
            # sums beyond 32 bits are unsigned, which are not added to int64
            table[places] += values.astype(np.int64)
        nonzero = np.flatnonzero(table)
        self.places = to_smallest_type(nonzero)
        self.sums = to_smallest_type(table[nonzero])
        self.waiting = []
        self.waiting_count = 0


@dataclass
class FoldSums:
    """Counts of one layer at one quantile by fold. ``a + b`` are the counts of both parts."""

    concepts: int
    intersections: Sequence[
        SparseSums
    ]  # by fold; a place is unit * concepts + concept
    unit_area: Integers  # (fold, unit, category)

    @classmethod
    def empty(
        cls, folds: int, units: int, concepts: int, categories: int
    ) -> FoldSums:
        """Return the counts of no image."""
        return cls(
            concepts,
            [SparseSums.empty(units * concepts) for _ in range(folds)],
            np.zeros((folds, units, categories), np.int64),
        )

    def update(self, batch: BatchCounts) -> None:
        """Add the counts of some images, whose rows are units in folds."""
        assert batch.rows is not None
        folds, units, categories = self.unit_area.shape
        self.unit_area.reshape(-1, categories)[batch.rows] += batch.areas
        row, concept = np.divmod(batch.pairs.astype(np.int64), self.concepts)
        fold, unit = np.divmod(batch.rows[row], units)
        places = unit * self.concepts + concept
        ends = np.searchsorted(fold, np.arange(folds + 1))
        for index in np.unique(fold).tolist():
            of_fold = slice(ends[index], ends[index + 1])
            self.intersections[index].add(places[of_fold], batch.pixels[of_fold])

    def __add__(self, other: FoldSums) -> FoldSums:
        intersections = [
            SparseSums.joined(parts)
            for parts in zip(self.intersections, other.intersections, strict=True)
        ]
        return FoldSums(
            self.concepts, intersections, self.unit_area + other.unit_area
        )

    def total(self, group: SingleProcess) -> FoldSums:
        """Return the sums over all processes, which all have to call this: fold by fold."""
        intersections = []
        for sums in self.intersections:
            sums.compact()
            intersections.append(SparseSums.joined(group.gather(sums)))
        unit_area = group.total(torch.from_numpy(self.unit_area))
        return FoldSums(self.concepts, intersections, unit_area.numpy())

    def over_folds(self) -> UnitCounts:
        """Return the sums over all folds."""
        _, units, _ = self.unit_area.shape
        intersection = np.zeros(units * self.concepts, np.int64)
        for sums in self.intersections:
            sums.compact()
            intersection[sums.places] += sums.sums.astype(np.int64)
        return UnitCounts(
            torch.from_numpy(intersection.reshape(units, self.concepts)),
            torch.from_numpy(self.unit_area.sum(0)),
        )

    def counts(
        self, concept_area: Integers, category_images: Integers
    ) -> FoldCounts:
        """Return the record of these counts.

        ``concept_area`` (fold, concept) and ``category_images`` (fold, category) are those of the
        same images.
        """
        pairs = [np.zeros(0, np.int64)]
        pixels = [np.zeros(0, np.int64)]
        for fold, sums in enumerate(self.intersections):
            sums.compact()
            pairs.append(sums.places.astype(np.int64) + fold * sums.size)
            pixels.append(sums.sums.astype(np.int64))
        return FoldCounts(
            np.concatenate(pairs),
            np.concatenate(pixels),
            self.unit_area,
            concept_area,
            category_images,
        )

    @classmethod
    def of(cls, counts: FoldCounts) -> FoldSums:
        """Return sums that continue the counts of a record."""
        sums = cls.empty(
            counts.folds, counts.units, counts.concepts, counts.unit_area.shape[2]
        )
        sums.unit_area += counts.unit_area
        fold, places = np.divmod(counts.pairs, counts.units * counts.concepts)
        ends = np.searchsorted(fold, np.arange(counts.folds + 1))
        for index, of_fold in enumerate(sums.intersections):
            entries = slice(ends[index], ends[index + 1])
            of_fold.add(places[entries], counts.pixels[entries])
        return sums
