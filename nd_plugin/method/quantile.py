"""Exact thresholds T_k = v[floor(τ·n)], v being all n values of unit k sorted descending (paper, section 2.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import true_indices

BINS = 2**18  # counters of one round of a selection, for all units together


Flat = tuple[Tensor, Tensor]  # units (value,) int32 and their values, or these as keys, (value,)


Total = Callable[[Tensor], Tensor]  # the sum of an integer tensor over all processes


def select(
    flat: Callable[[], Iterable[Flat]],
    above: Tensor,
    highest: Tensor,
    place: int,
    total: Total,
    most: int,
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


def _count(
    parts: Iterable[Flat], lowest: Tensor, shift: int, bits: int, most: int
) -> tuple[Tensor, list[Flat] | None]:
    """How many keys fall into each bin, (unit, bin); and the keys, to be looked at again, unless they are too many."""
    held, size = list[Flat](), 0
    counts = lowest.new_zeros(len(lowest) << bits)
    offsets = (torch.arange(len(lowest), device=lowest.device) << bits) - lowest
    for units, keys in parts:
        counts.index_add_(
            0, offsets.index_select(0, units) + (keys >> shift), lowest.new_ones(len(keys))
        )
        size += len(keys)
        if size <= most:
            held.append((units, keys))
        else:
            held.clear()
    together = (
        [(torch.cat(units), torch.cat(keys)) for units, keys in [zip(*held, strict=True)]]
        if held
        else []
    )
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
        inside = true_indices(
            (keys >= low.index_select(0, units)) & (keys <= high.index_select(0, units))
        )
        yield units.index_select(0, inside), keys.index_select(0, inside)


def to_keys(values: Tensor) -> Tensor:
    """Integers in the order of the values, int32 for float32 and int64 for float64; -0 is 0."""
    bits = (values + 0.0).view(torch.int64 if values.dtype == torch.float64 else torch.int32)
    return torch.where(bits >= 0, bits, bits ^ torch.iinfo(bits.dtype).max)


def from_keys(keys: Tensor, dtype: torch.dtype) -> Tensor:
    """The values again."""
    bits = keys.to(torch.int64 if dtype == torch.float64 else torch.int32)
    return torch.where(bits >= 0, bits, bits ^ torch.iinfo(bits.dtype).max).view(dtype)
