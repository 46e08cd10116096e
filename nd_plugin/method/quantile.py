"""Radix select: each unit's value of a given rank, 0 for the largest, without sorting.

T_k is the value of rank floor(τ·n) (`ranks.rank`) among all n values of unit k. Here it is looked
for among the values above a bound of the unit only: the ranks from the top are the same.

Floats become integer keys in the same order (`to_keys`). The key of the rank is found digit by
digit, from the highest bits down, for all units at the same time. All units share `BUCKETS`
counters: 2**18 counters for 256 units are 2**10 for each unit, hence digits of 10 bits. If the
possible keys of a unit differ in their lowest 30 bits::

    bits of a key     29 ...... 20 | 19 ...... 10 | 9 ........ 0
                        digit 1        digit 2       digit 3
    pass 1              counted                                     shift = 20
    pass 2              chosen         counted                      shift = 10
    pass 3              chosen         chosen       counted         shift = 0

A unit's possible keys are ``low`` to ``high``, both included. In each pass, its bucket b counts
the possible keys with ``key >> shift == first_prefix + b``, where ``first_prefix`` is
``low >> shift``. The bucket that holds the rank is chosen by summing from the top. For rank 12::

    bucket                  0    1    2    3    4      (4 has the largest keys)
    keys                    8    2    9   31   40
    counts from the top    90   82   80   71   40      rank 12 < 40: bucket 4, rank 12 within it

    ... and for rank 75: 71 keys lie in the buckets above bucket 2, so rank 75 - 71 = 4 within it.

Only the keys of the chosen bucket are possible in the next pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import true_indices

BUCKETS = 2**18  # counters of one pass, for all units together

KEY_DTYPE = {torch.float32: torch.int32, torch.float64: torch.int64}

UnitValues = tuple[Tensor, Tensor]  # units (value,) int32; their values (value,)
UnitKeys = tuple[Tensor, Tensor]  # units (key,) int32; their keys (key,)
SumOverProcesses = Callable[[Tensor], Tensor]  # of an integer tensor


def select(
    read_values: Callable[[], Iterable[UnitValues]],
    bound: Tensor,
    highest: Tensor,
    rank: int,
    sum_over_processes: SumOverProcesses,
    max_held: int,
) -> tuple[Tensor, Tensor]:
    """Return each unit's value of ``rank`` among its values, all of which exceed its ``bound``.

    Plain version, for one unit: ``sorted(values, reverse=True)[rank]`` if ``rank < len(values)``,
    else the bound. Returns these values (unit,), and whether each unit has more than ``rank``
    values, (unit,) bool.

    Parameters
    ----------
    read_values
        Returns the values of this process in pieces, without any that is not above its unit's
        bound: such a value would be counted for another unit. Called for the first pass. A pass
        that counted at most ``max_held`` keys keeps them, and later passes use those; otherwise
        the next pass calls it again.
    bound
        Lower bound of the values of each unit, over all processes; (unit,) float32 or float64.
    highest
        Largest value of each unit, over all processes; (unit,). It may be below the bound if the
        unit has no values.
    rank
        Number of larger values, counted over all processes, ties in any order.
    sum_over_processes
        Sums counts over all processes. Called once a pass; the number of passes is the same in
        every process.
    max_held
        Number of keys of this process that may be held in memory.
    """
    low = to_keys(bound).long() + 1
    high = to_keys(highest.maximum(bound)).long()
    digit_bits = max(int(math.log2(BUCKETS / max(len(low), 1))), 1)
    shift = _first_shift(low, high, digit_bits)
    rank_among_possible = torch.full_like(low, rank)
    has_rank: Tensor | None = None
    pieces = _to_unit_keys(read_values())
    while True:
        buffer = KeyBuffer(max_held)
        first_prefix = low >> shift
        counters = _count_buckets(
            buffer.pass_through(pieces), first_prefix, shift, digit_bits
        )
        counts_from_top = sum_over_processes(counters).flip(1).cumsum(1)
        if has_rank is None:
            has_rank = counts_from_top[:, -1] > rank
        bucket, rank_among_possible = _choose_bucket(
            counts_from_top, rank_among_possible
        )
        bucket_start = (first_prefix + bucket) << shift
        bucket_end = bucket_start + (1 << shift) - 1
        low = low.maximum(bucket_start)
        high = high.minimum(bucket_end)
        if shift == 0:
            return torch.where(
                has_rank, from_keys(low, bound.dtype), bound
            ), has_rank
        shift = max(shift - digit_bits, 0)
        if buffer.overflowed:
            pieces = _keys_between(low, high, _to_unit_keys(read_values()))
        else:
            pieces = _keys_between(low, high, buffer.joined())


class KeyBuffer:
    """Keys of one pass, held for the next one as long as they are no more than ``max_held``."""

    def __init__(self, max_held: int) -> None:
        self.max_held = max_held
        self.key_count: int = 0
        self.held: list[UnitKeys] = []

    @property
    def overflowed(self) -> bool:
        """Whether there were too many keys to hold."""
        return self.key_count > self.max_held

    def pass_through(self, pieces: Iterable[UnitKeys]) -> Iterator[UnitKeys]:
        """Yield ``pieces`` and hold them."""
        for units, keys in pieces:
            self.key_count += len(keys)
            if self.overflowed:
                self.held.clear()
            else:
                self.held.append((units, keys))
            yield units, keys

    def joined(self) -> list[UnitKeys]:
        """Return the keys in one piece, or in none if no piece passed."""
        if not self.held:
            return []
        units, keys = zip(*self.held, strict=True)
        return [(torch.cat(units), torch.cat(keys))]


def _first_shift(low: Tensor, high: Tensor, digit_bits: int) -> int:
    """Return how many bits lie below the first digit, so that all keys fit into its buckets.

    Keys lie between ``low`` and ``high`` (unit,).
    """

    def fits(shift: int) -> bool:
        if len(low) == 0:
            return True
        last_bucket = int(((high >> shift) - (low >> shift)).max())
        return last_bucket < 1 << digit_bits

    shift = next(shift for shift in range(1, 64) if fits(shift))
    # a shift of 0 is tried last, since the difference of two 64-bit keys may overflow
    if shift == 1 and fits(0):
        return 0
    return shift


def _count_buckets(
    pieces: Iterable[UnitKeys], first_prefix: Tensor, shift: int, digit_bits: int
) -> Tensor:
    """Count the keys of each bucket; (unit, bucket) int64.

    Bucket b of a unit counts its keys with ``key >> shift == first_prefix + b``; ``first_prefix``
    is (unit,).
    """
    unit_count = len(first_prefix)
    counters = first_prefix.new_zeros(unit_count << digit_bits)
    row_starts = torch.arange(unit_count, device=first_prefix.device) << digit_bits
    offsets = row_starts - first_prefix
    for units, keys in pieces:
        prefixes = keys >> shift
        counter_indices = offsets.index_select(0, units) + prefixes
        counters.index_add_(0, counter_indices, first_prefix.new_ones(len(keys)))
    return counters.view(unit_count, -1)


def _choose_bucket(counts_from_top: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bucket that holds each unit's ``rank`` (unit,), and the rank in this bucket.

    Column i of ``counts_from_top`` (unit, bucket) counts the keys of the i + 1 highest buckets. A
    rank beyond all keys chooses the lowest bucket.
    """
    last_bucket = counts_from_top.shape[1] - 1
    buckets_above = (counts_from_top <= rank[:, None]).sum(1).clamp(max=last_bucket)
    column_above = (buckets_above - 1).clamp(min=0)
    keys_above = counts_from_top.gather(1, column_above[:, None])[:, 0]
    rank_in_bucket = rank - torch.where(buckets_above > 0, keys_above, 0)
    return last_bucket - buckets_above, rank_in_bucket


def _keys_between(
    low: Tensor, high: Tensor, pieces: Iterable[UnitKeys]
) -> Iterator[UnitKeys]:
    """Yield the keys from ``low`` to ``high`` (unit,), both included."""
    for units, keys in pieces:
        not_below = keys >= low.index_select(0, units)
        not_above = keys <= high.index_select(0, units)
        possible = true_indices(not_below & not_above)
        yield units.index_select(0, possible), keys.index_select(0, possible)


def _to_unit_keys(pieces: Iterable[UnitValues]) -> Iterator[UnitKeys]:
    """Yield the keys of values, piece by piece."""
    for units, values in pieces:
        yield units, to_keys(values)


def to_keys(values: Tensor) -> Tensor:
    """Convert float32 or float64, without NaN, to integers of the same size in the same order."""
    positive_zero = values + 0.0  # the sum of -0 and 0 is 0: both get one key
    return _flip_negative(positive_zero.view(KEY_DTYPE[values.dtype]))


def from_keys(keys: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert keys to the floats that they stand for, float32 or float64."""
    bits = keys.to(KEY_DTYPE[dtype])
    return _flip_negative(bits).view(dtype)


def _flip_negative(bits: Tensor) -> Tensor:
    """Reverse the order of negative numbers, all bits but the sign being flipped.

    As integers, the bits of negative floats ascend where the floats descend (sign and magnitude).
    The sign stays, so that a second call undoes the first.
    """
    return torch.where(bits >= 0, bits, bits ^ torch.iinfo(bits.dtype).max)
