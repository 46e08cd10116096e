"""Positions where branches of a network meet: the most direct branch says where cells look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor

from nd_plugin.receptive_fields.positions import Pair, Positions, midpoints


def merged(parts: Sequence[Positions], shape: torch.Size) -> Positions | None:
    """Merge branches that meet: the most direct one, of the smallest receptive field, wins.

    Equally small ones give their centre; the receptive field's size is that of the union. A branch
    has no say if it is not on a regular grid, or is broadcast along an axis along which another
    branch has positions (a gate, pooled to 1x1).
    """
    branches = [branch.spread(shape) for branch in parts]
    on_map = [
        full
        for branch, full in zip(parts, branches, strict=True)
        if not _is_broadcast(branch, branches)
    ]
    if not on_map:
        return None
    candidates = [branch for branch in on_map if branch.is_regular()] or on_map
    smallest = min(branch.reach for branch in candidates)
    direct = [branch for branch in candidates if branch.reach == smallest]
    return replace(_centre(direct), size=_union_size(on_map))


def _is_broadcast(branch: Positions, branches: Sequence[Positions]) -> bool:
    """Return whether a branch is broadcast along an axis along which one of ``branches`` varies."""
    shape = branches[0].shape
    branch_shape = (1,) * (len(shape) - len(branch.shape)) + tuple(branch.shape)
    for dim, length in enumerate(branch_shape):
        if length == 1 < shape[dim] and any(
            full.varies_along(dim) for full in branches
        ):
            return True
    return False


def _centre(branches: Sequence[Positions]) -> Positions:
    """Return the centre of branches of one shape."""
    same_coordinates = list(
        zip(*(branch.coordinates for branch in branches), strict=True)
    )
    low = [reduce(torch.minimum, coordinates) for coordinates in same_coordinates]
    high = [reduce(torch.maximum, coordinates) for coordinates in same_coordinates]
    images, rows, columns = midpoints(low, high)
    return replace(branches[0], images=images, rows=rows, columns=columns)


def _union_size(branches: Sequence[Positions]) -> Pair:
    """Return the extent of the receptive field that holds those of branches of one shape."""
    row_fields = [(branch.rows, branch.size[0]) for branch in branches]
    column_fields = [(branch.columns, branch.size[1]) for branch in branches]
    return _union_extent(row_fields), _union_extent(column_fields)


def _union_extent(fields: Sequence[tuple[Tensor, float]]) -> float:
    """Return the largest extent of a union of fields along an axis (centres, extent)."""
    first = reduce(torch.fmin, [centres - extent / 2 for centres, extent in fields])
    last = reduce(torch.fmax, [centres + extent / 2 for centres, extent in fields])
    largest_field = max(extent for _, extent in fields)
    return max(largest_field, float((last - first).nan_to_num().max()))
