"""Selection of cells of activation maps: those above their unit's bound, and their neighbours.

. . . . .        . + + + .      #  exceeds the bound
. . # . .   ->   . + # + .      +  touches such a cell, and is selected with it
. . . . .        . + + + .      .  is not selected
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import true_indices

CELLS_IN_CACHE = 2**18  # compared with the bound at a time, on a CPU
CELLS_ON_DEVICE = 2**24  # the same on an accelerator


class SparseCells(NamedTuple):
    """Selected cells of some maps, on the device of these maps."""

    counts: Tensor  # (map,) int32, selected cells
    positions: Tensor  # (cell,) row * columns + column, ascending in each map
    values: Tensor  # (cell,)


def select_cells(maps: Tensor, bound: Tensor, *, neighbours: bool) -> SparseCells:
    """Return the cells of ``maps`` (map, row, column) above ``bound`` (map,), with neighbours.

    There are at most as many maps as `maps_at_once` says.
    """
    device = maps.device
    map_size = maps.shape[1] * maps.shape[2]
    if device.type == "cpu":
        selected = torch.from_numpy(
            _selected(maps.numpy(), bound.numpy(), neighbours)
        )
    else:
        selected = _selected(maps, bound, neighbours)
    cells = true_indices(selected)
    counts = selected.view(len(maps), map_size).sum(1, dtype=torch.int32)
    positions = _positions(map_size, device).index_select(0, cells)
    return SparseCells(counts, positions, maps.flatten().index_select(0, cells))


def _selected(maps: Any, bound: Any, neighbours: bool) -> Any:
    """Return whether each cell is selected, (map * row * column,) bool.

    ``maps`` (map, row, column) and ``bound`` (map,) are tensors or arrays: NumPy is as fast with
    one thread as torch with two, and so does not wait where other processes use the cores.

    Plain version: a cell is selected if it is above the bound or, with ``neighbours``, if one of
    the eight cells around it is.
    """
    above_bound = (maps > bound[:, None, None]).reshape(-1)
    if not neighbours:
        return above_bound
    with_row_neighbours = _dilate(above_bound, 1)
    return _dilate(with_row_neighbours, maps.shape[2])


def _dilate(selected: Any, step: int) -> Any:
    """Add to ``selected`` (cell,) bool the cells ``step`` before and behind a selected one.

    The cells of all maps are one sequence: at the end of a row or map, some cells of the next one
    are selected needlessly.
    """
    dilated = selected | selected
    dilated[step:] |= selected[:-step]
    dilated[:-step] |= selected[step:]
    return dilated


def maps_at_once(map_size: int, device: torch.device) -> int:
    """Return how many maps of ``map_size`` cells are compared with their bounds at a time."""
    cells = CELLS_IN_CACHE if device.type == "cpu" else CELLS_ON_DEVICE
    return max(cells // map_size, 1)


@lru_cache(maxsize=16)
def _positions(map_size: int, device: torch.device) -> Tensor:
    """Return the position in its map of every cell of `maps_at_once` maps, (cell,)."""
    positions = torch.arange(
        map_size, dtype=position_dtype(map_size), device=device
    )
    return positions.repeat(maps_at_once(map_size, device))


def position_dtype(map_size: int) -> torch.dtype:
    """Return the smallest dtype that numbers the cells of a map."""
    if map_size <= 2**8:
        return torch.uint8
    return torch.int16 if map_size <= 2**15 else torch.int32
