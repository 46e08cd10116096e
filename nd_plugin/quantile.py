"""The exact threshold T_k = v[floor(τ·n)], v being all n values of unit k sorted descending (paper, section 2.1).

Nothing is sorted and little is kept: `Bound` says early what T_k will hardly be less than, so that the rest can be
forgotten, and `select` finds T_k exactly among what was kept, or says that it is not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

from nd_plugin.upsample import true_places

SURE = 1e-12  # the chance, for one unit and one moment, that a bound is passed
BINS = 2**18  # counters of one round of a selection, for all units together
AT_LEAST = 1024  # images are drawn from before it is looked at what they tell
IN_MEMORY = 2**23  # values that are read once; more are read a second time
Flat = tuple[Tensor, Tensor]  # units (value,) int32 and their values, or these as keys, (value,)
Total = Callable[[Tensor], Tensor]  # the sum of an integer tensor over all processes


def rank(quantile: float, locations: int) -> int:
    """floor(τ·n), exactly: τ is taken as the decimal number that was written, not as the nearest binary one."""
    return math.floor(Fraction(repr(quantile)) * locations)


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
    the values above T_k crowd into few images. So the R-th largest is below T_k but for a chance of `SURE`, R being
    `surely_fewer`. Whether it was is checked by `select`: a bound that was passed costs time, not exactness.
    """

    level: Tensor  # (unit,), as of the last `settle`; -inf at first; never falls
    quantile: float
    drawn: int = 0  # images
    largest: Tensor | None = None  # (unit, any number), descending
    waiting: tuple[Tensor, ...] = ()  # (image, unit) each

    @classmethod
    def none(cls, units: int, quantile: float, dtype: torch.dtype, device: torch.device) -> Bound:
        """Before any image."""
        return cls(torch.full((units,), -torch.inf, dtype=dtype, device=device), quantile)

    def see(self, maps: Tensor) -> None:
        """Draw one value of each of ``maps`` (image, unit, row, column)."""
        count, cells = len(maps), maps.shape[2] * maps.shape[3]
        spread = (
            torch.arange(self.drawn, self.drawn + count, dtype=torch.float64, device="cpu") * 0.6180339887498949
        ) % 1
        places = (spread * cells).long().to(maps.device)
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
            self.level = torch.maximum(self.level, _below_ties(self.largest, fewer - 1))


def _below_ties(largest: Tensor, place: int) -> Tensor:
    """The value at ``place`` of each unit; where it occurs often and is not 0, the next smaller one.

    A unit that saturates (ReLU6) has many values at its T_k, and these have to be seen to be above the bound. Zeros
    are another matter: units that hardly leave 0 are known by what is not 0.
    """
    level = largest[:, place]
    repeated = (largest == level[:, None]).sum(1) > 1
    smaller = torch.where(largest < level[:, None], largest, -torch.inf).amax(1)
    return torch.where(repeated & (level != 0), smaller, level)


def select(
    flat: Callable[[], Iterable[Flat]], above: Tensor, highest: Tensor, place: int, total: Total
) -> tuple[Tensor, Tensor]:
    """The value at ``place`` (0 the largest) of each unit among values that are all above ``above`` (unit,).

    ``flat`` gives the values, once or several times; ``highest`` (unit,) is the largest of each unit, over all
    processes like ``above``; ``total`` adds counts over all processes. Returns the values, (unit,), and whether there
    were so many, (unit,) bool; a value that there is not is ``above``'s.
    """
    low, high = to_keys(above).long() + 1, to_keys(highest.maximum(above)).long()
    left, found = torch.full_like(low, place), torch.ones_like(low, dtype=torch.bool)
    bits = max(int(math.log2(BINS / max(len(low), 1))), 1)  # of a key, settled in one round
    shift = _coarse(low, high, bits)
    kept: list[Flat] | None = None
    first = True
    while True:
        source = (
            _as_keys(*part) if first else _between(low, high, *part) for part in (flat() if kept is None else kept)
        )
        counts, kept = _count(source, low >> shift, shift, bits, everything=not first)
        reached = total(counts).flip(1).cumsum(1)  # how many, from the largest down
        found = reached[:, -1] > place if first else found
        chosen = (reached <= left[:, None]).sum(1).clamp(max=reached.shape[1] - 1)
        passed = reached.gather(1, (chosen - 1).clamp(min=0)[:, None])[:, 0]
        left = left - torch.where(chosen > 0, passed, 0)
        start = ((low >> shift) + (reached.shape[1] - 1 - chosen)) << shift
        low, high = low.maximum(start), high.minimum(start + (1 << shift) - 1)
        if shift == 0:
            return torch.where(found, from_keys(low, above.dtype), above), found
        shift, first = max(shift - bits, 0), False


def _count(
    parts: Iterable[Flat], lowest: Tensor, shift: int, bits: int, *, everything: bool
) -> tuple[Tensor, list[Flat] | None]:
    """How many keys fall into each bin, (unit, bin); and the keys, to be read again, if they are few."""
    kept, size = list[Flat](), 0
    counts = lowest.new_zeros(len(lowest) << bits)
    offsets = (torch.arange(len(lowest), device=lowest.device) << bits) - lowest
    for units, keys in parts:
        counts.index_add_(0, offsets.index_select(0, units) + (keys >> shift), lowest.new_ones(len(keys)))
        size += len(keys)
        if everything or size <= IN_MEMORY:
            kept.append((units, keys))
    together = [(torch.cat(units), torch.cat(keys)) for units, keys in [zip(*kept, strict=True)]] if kept else []
    return counts.view(len(lowest), -1), together if everything or size <= IN_MEMORY else None


def _coarse(low: Tensor, high: Tensor, bits: int) -> int:
    """By how much keys between ``low`` and ``high`` (unit,) are shifted to make at most 2**bits bins."""

    def fits(shift: int) -> bool:
        return len(low) == 0 or int(((high >> shift) - (low >> shift)).max()) < 1 << bits

    shift = next(shift for shift in range(1, 64) if fits(shift))  # 0 might overflow
    return 0 if shift == 1 and fits(0) else shift


def _as_keys(units: Tensor, values: Tensor) -> Flat:
    return units, to_keys(values) if values.is_floating_point() else values


def _between(low: Tensor, high: Tensor, units: Tensor, values: Tensor) -> Flat:
    """The keys among those of ``values`` (or keys already) that lie between ``low`` and ``high`` (unit,)."""
    _, keys = _as_keys(units, values)
    inside = true_places((keys >= low.index_select(0, units)) & (keys <= high.index_select(0, units)))
    return units.index_select(0, inside), keys.index_select(0, inside)


def to_keys(values: Tensor) -> Tensor:
    """Integers in the order of the values, int32 for float32 and int64 for float64; -0 is 0."""
    bits = (values + 0.0).view(torch.int64 if values.dtype == torch.float64 else torch.int32)
    return torch.where(bits >= 0, bits, bits ^ torch.iinfo(bits.dtype).max)


def from_keys(keys: Tensor, dtype: torch.dtype) -> Tensor:
    """The values again."""
    bits = keys.to(torch.int64 if dtype == torch.float64 else torch.int32)
    return torch.where(bits >= 0, bits, bits ^ torch.iinfo(bits.dtype).max).view(dtype)
