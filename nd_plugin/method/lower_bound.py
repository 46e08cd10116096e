"""Lower bounds of thresholds, known while the images pass through the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import count_nonzero

SURE = 1e-12  # the chance, for one unit and one moment, that a bound is passed


GOLDEN = 0.6180339887498949  # its multiples spread places evenly over a map, however many they are


AT_LEAST = 1024  # images are drawn from before it is looked at what they tell


@lru_cache(maxsize=4096)
def poisson_upper_bound(mean: float) -> int:
    """A number that a Poisson count of this mean reaches with a chance below `SURE` (Chernoff's bound)."""
    number = max(math.ceil(mean), 1)
    while number * math.log(number / mean) - number + mean < -math.log(SURE):
        number += 1
    return number


@dataclass
class LowerBound:
    """What each unit's T_k will hardly be less than, from one value of each map; the images come in random order.

    Of m images, one value at one place each, the number above T_k is a Poisson count of mean τ·m at the most, however
    the values above T_k crowd into few images: the place does not depend on what the map holds. So the R-th largest is
    below T_k but for a chance of `SURE`, R being `poisson_upper_bound`. Whether it was is checked: where more values
    than
    T_k's rank are above the level, `select` finds T_k among them; where many values are the level itself (zeros, units
    that saturate or are constant), T_k is the level when more than its rank are counted that are not below it. A bound
    that was passed costs time, not exactness.
    """

    level: Tensor  # (unit,), as of the last `settle`; -inf at first; never falls
    quantile: float
    images: int  # that there will be
    enough: int  # values at the floor or above are not counted further
    floor: Tensor  # (unit,) the values at or above which are counted: a level that many values are, else 0
    reached: (
        Tensor  # (unit,) int64, how many have been since the floor was set, exact up to ``enough``
    )
    counted: int = 0  # images
    drawn: int = 0  # images
    largest: Tensor | None = None  # (unit, any number), descending
    waiting: tuple[Tensor, ...] = ()  # (image, unit) each

    @classmethod
    def empty(cls, maps: Tensor, quantile: float, images: int, enough: int) -> LowerBound:
        """Before any of ``images`` images of a part; ``maps`` (image, unit, row, column) are an example.

        ``enough`` is T_k's rank in the whole probe data set, and one more.
        """
        floor = torch.zeros(maps.shape[1], dtype=maps.dtype, device=maps.device)
        reached = torch.zeros(maps.shape[1], dtype=torch.int64, device=maps.device)
        return cls(torch.full_like(floor, -torch.inf), quantile, images, enough, floor, reached)

    def update(self, maps: Tensor) -> None:
        """Draw one value of each of ``maps`` (image, unit, row, column)."""
        count, cells = len(maps), maps.shape[2] * maps.shape[3]
        turn = torch.arange(self.drawn, self.drawn + count, dtype=torch.float64, device="cpu")
        places = (turn * GOLDEN % 1 * cells).long().to(maps.device)
        images = torch.arange(count, device=maps.device)
        self.waiting += (maps.flatten(2)[images, :, places],)
        self.drawn += count
        if sum(map(len, self.waiting)) > max(AT_LEAST, self.drawn // 8):
            self.settle()

    def settle(self) -> None:
        """Raise the level by what has been drawn."""
        if not self.waiting:
            return
        drawn = torch.cat(self.waiting).T
        values = drawn if self.largest is None else torch.cat([self.largest, drawn], dim=1)
        mean = float(Fraction(repr(self.quantile)) * self.drawn)
        fewer = poisson_upper_bound(mean)
        keep = min(2 * fewer + 64, values.shape[1])  # some more, for means that grow and for ties
        self.largest, self.waiting = values.topk(keep, dim=1).values, ()
        if fewer <= keep:
            to_come = 1 - self.counted / self.images
            self._raise(
                self.largest, fewer - 1, surely=keep / self.drawn * to_come > 2 * self.quantile
            )

    def _raise(self, largest: Tensor, place: int, *, surely: bool) -> None:
        """To what is at ``place`` of the ``largest``; where that occurs often, count it from now on.

        Zeros do, and what all the rest of ``largest`` is, if ``surely`` enough of it is to come. Other ties have to be
        seen to be above the bound: there the level is the next smaller value.
        """
        level = largest[:, place]
        repeated = (largest == level[:, None]).sum(1) > 1
        often = repeated & (
            ((level == 0) & (self.floor == 0)) | ((largest[:, -1] == level) & surely)
        )
        smaller = torch.where(largest < level[:, None], largest, -torch.inf).amax(1)
        level = torch.where(repeated & ~often, smaller, level)
        moved = often & (level >= self.level) & (level != self.floor)
        self.level = torch.maximum(self.level, level)
        self.floor = torch.where(moved, level, self.floor)
        self.reached = torch.where(moved, 0, self.reached)

    def count(self, maps: Tensor) -> None:
        """Count the values of ``maps`` (image, unit, row, column) that are not below the floor, where it matters."""
        self.counted += len(maps)
        few = (self.reached < self.enough).nonzero()[:, 0]
        if len(few):
            some = maps if len(few) == maps.shape[1] else maps[:, few]
            self.reached[few] += count_nonzero(some >= self.floor[few, None, None])

    def snapshot(self) -> tuple[Tensor, Tensor, Tensor]:
        """Level, floor and what reached it, on the CPU; to be sent."""
        return self.level.cpu(), self.floor.cpu(), self.reached.cpu()


class CombinedBounds(NamedTuple):
    """The bounds of all parts of a probe data set."""

    level: Tensor  # (unit,), what all that was kept is above
    floors: Tensor  # (part, unit)
    reached: Tensor  # (part, unit)

    @classmethod
    def of(cls, parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> CombinedBounds:
        """From what each of them has `LowerBound.snapshot`."""
        levels, floors, reached = map(torch.stack, zip(*parts, strict=True))
        return cls(levels.amax(0), floors, reached)

    def proven_level(self, place: int) -> Tensor:
        """What the value at ``place`` of each unit is certainly not less than, (unit,); -inf where nothing is known."""
        floors, order = self.floors.sort(dim=0, descending=True)
        together = self.reached.gather(0, order).cumsum(0)  # in all parts, not below each floor
        return torch.where(together > place, floors, -torch.inf).amax(0)
