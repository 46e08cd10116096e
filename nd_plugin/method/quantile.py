"""Exact thresholds: T_k = v[floor(τ·n)], v being all n values of unit k, sorted descending.

The definition is the paper's (section 2.1). Values are not sorted: `select` is a radix select.
Floats become integer keys in the same order (`to_keys`), and the key of the wanted rank is found
digit by digit, from the highest bits down, for all units at the same time. For keys that differ in
their lowest 30 bits, and digits of 10 bits::

    bits of a key     29 ...... 20 | 19 ...... 10 | 9 ........ 0
                        digit 1        digit 2       digit 3
    pass 1              counted                                     shift = 20
    pass 2               known         counted                      shift = 10
    pass 3               known          known        counted        shift = 0

A pass over the values counts the keys of each bucket (the keys with the same digit), and chooses
the bucket that holds the rank, 0 being the largest key. For rank 12 of one unit::

    bucket             0    1    2    3    4
    keys              40   31    9    8    2
    at or above       90   50   19   10    2      bucket 2, and rank 12 - 10 = 2 within it

The next pass looks at the keys of this bucket only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import true_indices

BUCKETS = 2**18  # counters of one pass, for all units together

Flat = tuple[Tensor, Tensor]  # units (value,) int32; their values or keys (value,)
SumOverProcesses = Callable[[Tensor], Tensor]  # of an integer tensor


def select(
    read_values: Callable[[], Iterable[Flat]],
    bound: Tensor,
    highest: Tensor,
    rank: int,
    total: SumOverProcesses,
    max_held: int,
) -> tuple[Tensor, Tensor]:
    """Return each unit's value of ``rank`` (0 for the largest), among values above ``bound``.

    Plain version, for one unit: ``sorted(values, reverse=True)[rank]`` if ``rank < len(values)``,
    else the bound.

    Parameters
    ----------
    read_values
        Returns the values of this process in pieces. Called for the first pass, and again for each
        further pass while more than ``max_held`` keys remain; fewer are held in memory.
    bound, highest
        Bound of each unit, which all its values exceed, and its largest value; (unit,), over all
        processes.
    total
        Sums counts over all processes.

    Returns:
    -------
    Values (unit,), and whether the unit has more than ``rank`` values, (unit,) bool.
    """
    low = to_keys(bound).long() + 1  # keys that are still possible: low … high
    high = to_keys(highest.maximum(bound)).long()
    digit_bits = max(int(math.log2(BUCKETS / max(len(low), 1))), 1)
    shift = _first_shift(low, high, digit_bits)
    rank_in_range = torch.full_like(low, rank)
    has_rank: Tensor | None = None
    pieces: Iterable[Flat] = (_as_keys(*piece) for piece in read_values())
    while True:
        local_counts, held = _count_buckets(
            pieces, low >> shift, shift, digit_bits, max_held
        )
        at_or_above = (
            total(local_counts).flip(1).cumsum(1)
        )  # from the highest bucket down
        if has_rank is None:
            has_rank = at_or_above[:, -1] > rank
        bucket, rank_in_range = _choose_bucket(at_or_above, rank_in_range)
        bucket_start = ((low >> shift) + bucket) << shift
        bucket_end = bucket_start + (1 << shift) - 1
        low = low.maximum(bucket_start)
        high = high.minimum(bucket_end)
        if shift == 0:
            return torch.where(has_rank, from_keys(low, bound.dtype), bound), has_rank
        shift = max(shift - digit_bits, 0)
        pieces = _keys_between(low, high, read_values() if held is None else held)


def _first_shift(low: Tensor, high: Tensor, digit_bits: int) -> int:
    """Return the bits below the first digit, so that all keys fit into its buckets.

    Keys lie between ``low`` and ``high`` (unit,).
    """

    def fits(shift: int) -> bool:
        if len(low) == 0:
            return True
        last_bucket = int(((high >> shift) - (low >> shift)).max())
        return last_bucket < 1 << digit_bits

    shift = next(shift for shift in range(1, 64) if fits(shift))
    if shift == 1 and fits(
        0
    ):  # tried last: the difference of two 64-bit keys may overflow
        return 0
    return shift


def _count_buckets(
    pieces: Iterable[Flat],
    lowest_digit: Tensor,
    shift: int,
    digit_bits: int,
    max_held: int,
) -> tuple[Tensor, list[Flat] | None]:
    """Count the keys of each bucket: ``key >> shift`` from ``lowest_digit`` (unit,) on.

    Returns counts (unit, bucket), and the keys in one piece, or None if they are more than
    ``max_held``.
    """
    units_total = len(lowest_digit)
    counts = lowest_digit.new_zeros(units_total << digit_bits)
    row_starts = torch.arange(units_total, device=lowest_digit.device) << digit_bits
    offsets = row_starts - lowest_digit
    held: list[Flat] = []
    key_count = 0
    for units, keys in pieces:
        buckets = offsets.index_select(0, units) + (keys >> shift)
        counts.index_add_(0, buckets, lowest_digit.new_ones(len(keys)))
        key_count += len(keys)
        if key_count <= max_held:
            held.append((units, keys))
        else:
            held.clear()
    counts = counts.view(units_total, -1)
    if key_count > max_held:
        return counts, None
    return counts, _concatenate(held)


def _concatenate(pieces: list[Flat]) -> list[Flat]:
    """Join pieces into one; none stay none."""
    if not pieces:
        return []
    units, keys = zip(*pieces, strict=True)
    return [(torch.cat(units), torch.cat(keys))]


def _choose_bucket(at_or_above: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bucket that holds each unit's ``rank`` (unit,), and the rank in this bucket.

    ``at_or_above`` (unit, bucket) counts keys from the highest bucket down. A rank beyond all
    keys chooses the lowest bucket.
    """
    last = at_or_above.shape[1] - 1
    from_highest = (at_or_above <= rank[:, None]).sum(1).clamp(max=last)
    bucket_above = (from_highest - 1).clamp(min=0)
    keys_above = at_or_above.gather(1, bucket_above[:, None])[:, 0]
    rank_in_bucket = rank - torch.where(from_highest > 0, keys_above, 0)
    return last - from_highest, rank_in_bucket


def _keys_between(low: Tensor, high: Tensor, pieces: Iterable[Flat]) -> Iterator[Flat]:
    """Yield the keys from ``low`` to ``high`` (unit,), both included, of values or keys."""
    for units, values in pieces:
        _, keys = _as_keys(units, values)
        not_below = keys >= low.index_select(0, units)
        not_above = keys <= high.index_select(0, units)
        inside = true_indices(not_below & not_above)
        yield units.index_select(0, inside), keys.index_select(0, inside)


def _as_keys(units: Tensor, values: Tensor) -> Flat:
    """Convert values to keys, and leave keys as they are."""
    return units, to_keys(values) if values.is_floating_point() else values


def to_keys(values: Tensor) -> Tensor:
    """Convert floats to integers of the same size in the same order; -0 becomes 0."""
    bits = (values + 0.0).view(
        torch.int64 if values.dtype == torch.float64 else torch.int32
    )
    return _flip_negative(bits)


def from_keys(keys: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert keys to the floats they stand for."""
    bits = keys.to(torch.int64 if dtype == torch.float64 else torch.int32)
    return _flip_negative(bits).view(dtype)


def _flip_negative(bits: Tensor) -> Tensor:
    """Reverse the order of negative numbers, all bits but the sign being flipped.

    As integers, the bits of negative floats ascend where the floats descend (sign and magnitude).
    """
    return torch.where(bits >= 0, bits, bits ^ torch.iinfo(bits.dtype).max)
