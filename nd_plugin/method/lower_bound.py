"""Lower bounds of thresholds, known while images are still passing through the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from nd_plugin.machine.transfers import to_device
from nd_plugin.method.numpy_on_cpu import count_nonzero

# that a bound exceeds the threshold, for one unit at one time
MISS_PROBABILITY = 1e-12
GOLDEN_RATIO = 0.6180339887498949  # its multiples, modulo 1, are spread evenly
MIN_DRAWN_IMAGES = 1024  # between two updates of the level


@lru_cache(maxsize=4096)
def poisson_upper_bound(mean: float) -> int:
    """Return a number that a Poisson count of this mean will hardly reach.

    By Chernoff's bound, the probability is at most `MISS_PROBABILITY`.
    """
    number = max(math.ceil(mean), 1)
    while number * math.log(number / mean) - number + mean < -math.log(
        MISS_PROBABILITY
    ):
        number += 1
    return number


@dataclass
class LowerBound:
    """Probable lower bound of each unit's T_k, from one value of each map.

    The images have to come in random order.

    One cell is drawn from each map, its position independent of the map's values. Of m images,
    the number of drawn values above T_k is then a Poisson count of mean τ·m at most, even if the
    values above T_k are concentrated in few images. With R = `poisson_upper_bound`, the R-th
    largest drawn value is below T_k but for `MISS_PROBABILITY`. That is the level.

    A level above T_k costs time, not exactness, because it is noticed:

    - if more values than T_k's rank are above the level, `quantile.select` finds T_k among them;
    - if many values equal the level (zeros; units that saturate or are constant), values not
      below it are counted: T_k is the level if more than its rank were counted.
    """

    # (unit,), as of the last `update_level`; -inf at first; never falls
    level: Tensor
    quantile: float
    images: int  # that will come
    enough: int  # values at the floor or above are not counted further
    floor: Tensor  # (unit,) values not below it are counted: a level that many values equal, else 0
    # (unit,) int64, values counted since the floor was set, exact at least up to `enough`
    reached: Tensor
    counted: int = 0  # images
    drawn: int = 0  # images
    # (unit, any number), descending, of the values drawn
    largest: Tensor | None = None
    # drawn since `update_level`, (image, unit) each
    waiting: tuple[Tensor, ...] = ()

    @classmethod
    def empty(
        cls, maps: Tensor, quantile: float, images: int, enough: int
    ) -> LowerBound:
        """Return the bound before any image of a part, which will have ``images`` images.

        ``maps`` (image, unit, row, column) are an example. ``enough`` is T_k's rank in the whole
        probe data set, plus 1.
        """
        units = maps.shape[1]
        floor = torch.zeros(units, dtype=maps.dtype, device=maps.device)
        reached = torch.zeros(units, dtype=torch.int64, device=maps.device)
        level = torch.full_like(floor, -torch.inf)
        return cls(level, quantile, images, enough, floor, reached)

    def update(self, maps: Tensor) -> None:
        """Draw one value of each of ``maps`` (image, unit, row, column)."""
        image_count = len(maps)
        cell_count = maps.shape[2] * maps.shape[3]
        image_numbers = torch.arange(
            self.drawn, self.drawn + image_count, dtype=torch.float64, device="cpu"
        )
        cells = (image_numbers * GOLDEN_RATIO % 1 * cell_count).long()
        cells = to_device(cells, maps.device)
        images = torch.arange(image_count, device=maps.device)
        self.waiting += (maps.flatten(2)[images, :, cells],)
        self.drawn += image_count
        waiting_images = sum(len(values) for values in self.waiting)
        if waiting_images > max(MIN_DRAWN_IMAGES, self.drawn // 8):
            self.update_level()

    def update_level(self) -> None:
        """Raise the level by the values drawn since the last time."""
        if not self.waiting:
            return
        values = torch.cat(self.waiting).T
        if self.largest is not None:
            values = torch.cat([self.largest, values], dim=1)
        mean = float(Fraction(repr(self.quantile)) * self.drawn)
        upper_bound = poisson_upper_bound(mean)
        # more than the bound: the mean will grow, and ties below the level are to be seen
        largest_count = min(2 * upper_bound + 64, values.shape[1])
        self.largest = values.topk(largest_count, dim=1).values
        self.waiting = ()
        if upper_bound <= largest_count:
            share_to_come = 1 - self.counted / self.images
            ties_to_come = largest_count / self.drawn * share_to_come
            enough_to_come = ties_to_come > 2 * self.quantile
            self._raise_level(
                self.largest, upper_bound - 1, enough_to_come=enough_to_come
            )

    def _raise_level(
        self, largest: Tensor, rank: int, *, enough_to_come: bool
    ) -> None:
        """Raise the level to the value of ``rank`` among the ``largest`` (unit, rank), or below it.

        If the value is tied, T_k may be equal to it, and would not be found above the level:

        - A tied value becomes the level and the floor, and is counted from now on, if it is 0 (the
          floor from the start), or if it fills the rest of ``largest`` and ``enough_to_come``.
        - For any other tied value, the next smaller value becomes the level.
        """
        value = largest[:, rank]
        is_tied = (largest == value[:, None]).sum(1) > 1
        is_counted_zero = (value == 0) & (self.floor == 0)
        fills_rest = (largest[:, -1] == value) & enough_to_come
        becomes_floor = is_tied & (is_counted_zero | fills_rest)
        next_smaller = torch.where(
            largest < value[:, None], largest, -torch.inf
        ).amax(1)
        level = torch.where(is_tied & ~becomes_floor, next_smaller, value)
        floor_moves = becomes_floor & (level >= self.level) & (level != self.floor)
        self.level = torch.maximum(self.level, level)
        self.floor = torch.where(floor_moves, level, self.floor)
        self.reached = torch.where(floor_moves, 0, self.reached)

    def count(self, maps: Tensor) -> None:
        """Count values of ``maps`` (image, unit, row, column) from the floor on, up to `enough`."""
        self.counted += len(maps)
        units = (self.reached < self.enough).nonzero()[:, 0]
        if len(units):
            unit_maps = maps if len(units) == maps.shape[1] else maps[:, units]
            self.reached[units] += count_nonzero(
                unit_maps >= self.floor[units, None, None]
            )

    def add_reached(self, reached: Tensor, images: int) -> None:
        """Add counts (unit,) of the values of so many more images that are not below the floor."""
        self.counted += images
        self.reached += reached

    def snapshot(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return level, floor and `reached`, on the CPU, to be sent to another process."""
        return self.level.cpu(), self.floor.cpu(), self.reached.cpu()


class CombinedBounds(NamedTuple):
    """Lower bounds of all parts of a probe data set."""

    level: Tensor  # (unit,), the highest of all parts' levels: all parts have stored what is above
    floors: Tensor  # (part, unit)
    reached: Tensor  # (part, unit)

    @classmethod
    def of(cls, parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> CombinedBounds:
        """Combine the `LowerBound.snapshot` of each part."""
        levels, floors, reached = zip(*parts, strict=True)
        return cls(
            torch.stack(levels).amax(0), torch.stack(floors), torch.stack(reached)
        )

    def proven_level(self, rank: int) -> Tensor:
        """Return a certain lower bound of each unit's value of that rank, (unit,); -inf if unknown.

        A value counted by a part is not below that part's floor, nor below any lower floor of
        another part.
        """
        floors, order = self.floors.sort(dim=0, descending=True)
        # counted by all parts with this floor or a higher one
        counted = self.reached.gather(0, order).cumsum(0)
        return torch.where(counted > rank, floors, -torch.inf).amax(0)
