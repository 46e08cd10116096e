"""The exact threshold T_k = v[floor(τ·n)], v being all n values of unit k sorted descending (paper, section 2.1).

Nothing is sorted and little is kept: `Bound` says early what T_k will hardly be less than, so that the rest can be
forgotten, and `select` finds T_k exactly among what was kept, or says that it is not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from nd_plugin.upsample import count_nonzero, true_places

SURE = 1e-12  # the chance, for one unit and one moment, that a bound is passed
GOLDEN = 0.6180339887498949  # its multiples spread places evenly over a map, however many they are
BINS = 2**18  # counters of one round of a selection, for all units together
AT_LEAST = 1024  # images are drawn from before it is looked at what they tell
Flat = tuple[Tensor, Tensor]  # units (value,) int32 and their values, or these as keys, (value,)
Total = Callable[[Tensor], Tensor]  # the sum of an integer tensor over all processes


@lru_cache(maxsize=4096)
def surely_fewer(mean: float) -> int:
    """A number that a Poisson count of this mean reaches with a chance below `SURE` (Chernoff's bound)."""
    number = max(math.ceil(mean), 1)
    while number * math.log(number / mean) - number + mean < -math.log(SURE):
        number += 1
    return number


@dataclass
class Bound:
    """What each unit's T_k will hardly be less than, from one value of each map; the images come in random order.

    Of m images, one value at one place each, the number above T_k is a Poisson count of mean τ·m at the most, however
    the values above T_k crowd into few images: the place does not depend on what the map holds. So the R-th largest is
    below T_k but for a chance of `SURE`, R being `surely_fewer`. Whether it was is checked: where more values than
    T_k's rank are above the level, `select` finds T_k among them; where many values are the level itself (zeros, units
    that saturate or are constant), T_k is the level when more than its rank are counted that are not below it. A bound
    that was passed costs time, not exactness.
    """

    level: Tensor  # (unit,), as of the last `settle`; -inf at first; never falls
    quantile: float
    images: int  # that there will be
    enough: int  # values at the floor or above are not counted further
    floor: Tensor  # (unit,) the values at or above which are counted: a level that many values are, else 0
    reached: Tensor  # (unit,) int64, how many have been since the floor was set, exact up to ``enough``
    counted: int = 0  # images
    drawn: int = 0  # images
    largest: Tensor | None = None  # (unit, any number), descending
    waiting: tuple[Tensor, ...] = ()  # (image, unit) each

    @classmethod
    def none(cls, maps: Tensor, quantile: float, images: int, enough: int) -> Bound:
        """Before any of ``images`` images of a part; ``maps`` (image, unit, row, column) are an example.

        ``enough`` is T_k's rank in the whole probe data set, and one more.
        """
        floor = torch.zeros(maps.shape[1], dtype=maps.dtype, device=maps.device)
        reached = torch.zeros(maps.shape[1], dtype=torch.int64, device=maps.device)
        return cls(torch.full_like(floor, -torch.inf), quantile, images, enough, floor, reached)

    def see(self, maps: Tensor) -> None:
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
        fewer = surely_fewer(mean)
        keep = min(2 * fewer + 64, values.shape[1])  # some more, for means that grow and for ties
        self.largest, self.waiting = values.topk(keep, dim=1).values, ()
        if fewer <= keep:
            to_come = 1 - self.counted / self.images
            self._raise(self.largest, fewer - 1, surely=keep / self.drawn * to_come > 2 * self.quantile)

    def _raise(self, largest: Tensor, place: int, *, surely: bool) -> None:
        """To what is at ``place`` of the ``largest``; where that occurs often, count it from now on.

        Zeros do, and what all the rest of ``largest`` is, if ``surely`` enough of it is to come. Other ties have to be
        seen to be above the bound: there the level is the next smaller value.
        """
        level = largest[:, place]
        repeated = (largest == level[:, None]).sum(1) > 1
        often = repeated & (((level == 0) & (self.floor == 0)) | ((largest[:, -1] == level) & surely))
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

    def told(self) -> tuple[Tensor, Tensor, Tensor]:
        """Level, floor and what reached it, on the CPU; to be sent."""
        return self.level.cpu(), self.floor.cpu(), self.reached.cpu()


class Bounds(NamedTuple):
    """The bounds of all parts of a probe data set."""

    level: Tensor  # (unit,), what all that was kept is above
    floors: Tensor  # (part, unit)
    reached: Tensor  # (part, unit)

    @classmethod
    def of(cls, parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Bounds:
        """From what each of them has `Bound.told`."""
        levels, floors, reached = map(torch.stack, zip(*parts, strict=True))
        return cls(levels.amax(0), floors, reached)

    def surely(self, place: int) -> Tensor:
        """What the value at ``place`` of each unit is certainly not less than, (unit,); -inf where nothing is known."""
        floors, order = self.floors.sort(dim=0, descending=True)
        together = self.reached.gather(0, order).cumsum(0)  # in all parts, not below each floor
        return torch.where(together > place, floors, -torch.inf).amax(0)


def select(
    flat: Callable[[], Iterable[Flat]], above: Tensor, highest: Tensor, place: int, total: Total, most: int
) -> tuple[Tensor, Tensor]:
    """The value at ``place`` (0 the largest) of each unit among values that are all above ``above`` (unit,).

    ``flat`` gives the values, once or several times: ``most`` are held in memory, more are read again for every few
    bits of the result. ``highest`` (unit,) is the largest of each unit, over all processes like ``above``; ``total``
    adds counts over all processes. Returns the values, (unit,), and whether there were so many, (unit,) bool; a value
    that there is not is ``above``'s.
    """
    low, high = to_keys(above).long() + 1, to_keys(highest.maximum(above)).long()
    left, found = torch.full_like(low, place), None
    bits = max(int(math.log2(BINS / max(len(low), 1))), 1)  # of a key, settled in one round
    shift = _coarse(low, high, bits)
    values: Iterator[Flat] = (_as_keys(*part) for part in flat())
    while True:
        counts, held = _count(values, low >> shift, shift, bits, most)
        reached = total(counts).flip(1).cumsum(1)  # how many, from the largest down
        found = reached[:, -1] > place if found is None else found
        chosen = (reached <= left[:, None]).sum(1).clamp(max=reached.shape[1] - 1)
        passed = reached.gather(1, (chosen - 1).clamp(min=0)[:, None])[:, 0]
        left = left - torch.where(chosen > 0, passed, 0)
        start = ((low >> shift) + (reached.shape[1] - 1 - chosen)) << shift
        low, high = low.maximum(start), high.minimum(start + (1 << shift) - 1)
        if shift == 0:
            return torch.where(found, from_keys(low, above.dtype), above), found
        shift = max(shift - bits, 0)
        values = _between(low, high, flat() if held is None else held)


def _count(parts: Iterable[Flat], lowest: Tensor, shift: int, bits: int, most: int) -> tuple[Tensor, list[Flat] | None]:
    """How many keys fall into each bin, (unit, bin); and the keys, to be looked at again, unless they are too many."""
    held, size = list[Flat](), 0
    counts = lowest.new_zeros(len(lowest) << bits)
    offsets = (torch.arange(len(lowest), device=lowest.device) << bits) - lowest
    for units, keys in parts:
        counts.index_add_(0, offsets.index_select(0, units) + (keys >> shift), lowest.new_ones(len(keys)))
        size += len(keys)
        if size <= most:
            held.append((units, keys))
        else:
            held.clear()
    together = [(torch.cat(units), torch.cat(keys)) for units, keys in [zip(*held, strict=True)]] if held else []
    return counts.view(len(lowest), -1), together if size <= most else None


def _coarse(low: Tensor, high: Tensor, bits: int) -> int:
    """By how much keys between ``low`` and ``high`` (unit,) are shifted to make at most 2**bits bins."""

    def fits(shift: int) -> bool:
        return len(low) == 0 or int(((high >> shift) - (low >> shift)).max()) < 1 << bits

    shift = next(shift for shift in range(1, 64) if fits(shift))  # 0 might overflow
    return 0 if shift == 1 and fits(0) else shift


def _as_keys(units: Tensor, values: Tensor) -> Flat:
    return units, to_keys(values) if values.is_floating_point() else values


def _between(low: Tensor, high: Tensor, parts: Iterable[Flat]) -> Iterator[Flat]:
    """The keys of values (or keys already) that lie between ``low`` and ``high`` (unit,), part by part."""
    for units, values in parts:
        _, keys = _as_keys(units, values)
        inside = true_places((keys >= low.index_select(0, units)) & (keys <= high.index_select(0, units)))
        yield units.index_select(0, inside), keys.index_select(0, inside)


def to_keys(values: Tensor) -> Tensor:
    """Integers in the order of the values, int32 for float32 and int64 for float64; -0 is 0."""
    bits = (values + 0.0).view(torch.int64 if values.dtype == torch.float64 else torch.int32)
    return torch.where(bits >= 0, bits, bits ^ torch.iinfo(bits.dtype).max)


def from_keys(keys: Tensor, dtype: torch.dtype) -> Tensor:
    """The values again."""
    bits = keys.to(torch.int64 if dtype == torch.float64 else torch.int32)
    return torch.where(bits >= 0, bits, bits ^ torch.iinfo(bits.dtype).max).view(dtype)
