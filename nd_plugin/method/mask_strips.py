"""Strips of masks: pixels along an axis that are interpolated between the same two cells.

Pixels beyond the outer centres are clamped: they belong to the outer strips, which may be very
long. These are cut into strips no longer than the longest inner one. Here cells A, B and C have
their centres at mask columns 1, 5 and 9, so that columns 0 to 4 are cut after four pixels::

    mask column      0   1   2   3   4   5   6   7   8   9
    centres              A               B               C
    strip          |______0________|_1_|_______2_______|_3_|
    two cells             A B       A B        B C      C C
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nd_plugin.method.upsampling import MaskAxis, taps


@dataclass(frozen=True)
class AxisStrips:
    """Strips of one axis of a mask: neighbouring pixels between the same two cells.

    Weights have the maps' type. Those beyond a strip's end are NaN, and what is interpolated with
    them is NaN, which exceeds no threshold. The pixels of `search_weight` are padded to 2**n - 1,
    the smallest such number that holds the longest strip: a binary search needs n steps.
    """

    first: Tensor  # (strip,) int64, cells
    second: Tensor  # (strip,) int64, cells: the first ones or those behind them
    start: Tensor  # (strip,) int32, first pixel
    length: Tensor  # (strip,) int32, pixels
    weight_ascends: Tensor  # (strip,) bool, the last weight is not below the first
    # (pixel, strip), of the second cell; a view of `search_weight[0]`
    weight: Tensor
    # (2, padded pixel, strip), from first and from last pixel
    search_weight: Tensor


@lru_cache(maxsize=256)
def strips(
    axis: MaskAxis, cell_count: int, device: torch.device, dtype: torch.dtype
) -> AxisStrips:
    """Cut one axis of a mask over ``cell_count`` cells into strips.

    Plain version: append pixel j to the current strip if `taps` gives it the same two cells as
    pixel j - 1, else begin a new strip. Then cut the first and the last strip into pieces no
    longer than the longest strip between them, if there is one.
    """
    cells = taps(axis, cell_count)
    bounds = _strip_bounds(cells.first)
    longest = max(end - start for start, end in bounds)
    padded_length = 2 ** longest.bit_length() - 1
    weights = torch.full(
        (2, padded_length, len(bounds)),
        torch.nan,
        dtype=torch.float64,
        device="cpu",
    )
    for strip, (start, end) in enumerate(bounds):
        strip_weights = cells.weight[start:end]
        weights[0, : end - start, strip] = strip_weights
        weights[1, : end - start, strip] = strip_weights.flip(0)
    starts, ends = torch.from_numpy(np.array(bounds).T.copy())
    weights = weights.to(device, dtype)
    return AxisStrips(
        first=cells.first[starts].to(device),
        second=cells.second[starts].to(device),
        start=starts.int().to(device),
        length=(ends - starts).int().to(device),
        weight_ascends=(cells.weight[starts] <= cells.weight[ends - 1]).to(device),
        weight=weights[0, :longest],
        search_weight=weights,
    )


def _strip_bounds(first_cells: Tensor) -> list[tuple[int, int]]:
    """Return start and end of every strip, from the first cell of every pixel (pixel,).

    Outer strips, which include the clamped pixels, are cut to the length of the longest inner
    strip, since every strip takes the memory of the longest.
    """
    breaks = np.flatnonzero(np.diff(first_cells.numpy())) + 1
    uncut = list(itertools.pairwise([0, *breaks.tolist(), len(first_cells)]))
    inner = uncut[1:-1] or uncut
    longest = max(end - start for start, end in inner)
    bounds = []
    for uncut_start, uncut_end in uncut:
        starts = range(uncut_start, uncut_end, longest)
        bounds += [(start, min(start + longest, uncut_end)) for start in starts]
    return bounds
