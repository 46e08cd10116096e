"""Sparse activation maps: cells that exceed their unit's bound, and their neighbours.

A pixel of a mask M_k lies between four cells of its map. One of these exceeds T_k,
interpolation being convex, and so exceeds every lower bound of T_k; the other three touch
it (see `method.cell_selection`). No other cell decides about a pixel (see
`method.activation_masks`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin.machine.memory_blocks import new_bytes
from nd_plugin.method.cell_selection import (
    SparseCells,
    maps_at_once,
    position_dtype,
    select_cells,
)
from nd_plugin.method.numpy_on_cpu import true_indices
from nd_plugin.method.upsampling import finite

Allocate = Callable[[int], Tensor]  # size -> (byte,) uint8, at a multiple of 8

# whatever is interpolated from such a cell exceeds no bound
NOT_STORED = -torch.inf


class PendingMaps(NamedTuple):
    """Maps of a batch that have not been searched for candidates."""

    batch: int  # number
    images: Tensor  # (image,)
    maps: Tensor  # (image, unit, row, column)
    peaks: Tensor  # (image, unit), maxima of the maps

    @classmethod
    def of(cls, batch: int, images: Tensor, maps: Tensor) -> PendingMaps:
        """Compute the maxima of ``maps``; ``images`` are on their device, too."""
        return cls(batch, images, maps, peaks_of(maps))


@dataclass(frozen=True)
class SparseMaps:
    """Sparse maps in the order of their images; on the CPU, in one piece of memory."""

    cells: tuple[int, int]  # rows and columns of a map
    memory: Tensor  # (byte,) uint8, which holds all tensors below
    values: Tensor  # (cell,)
    peaks: Tensor  # (map,) maxima
    images: Tensor  # (map,) int32, indices into the probe data set
    units: Tensor  # (map,) int32
    counts: Tensor  # (map,) int32, stored cells
    positions: Tensor  # (cell,) row * columns + column, ascending in each map

    @classmethod
    def view(
        cls,
        memory: Tensor,
        cells: tuple[int, int],
        dtype: torch.dtype,
        maps: int,
        count: int,
    ) -> SparseMaps:
        """Return ``maps`` maps with ``count`` stored cells, as they lie in ``memory`` (byte,)."""
        columns = []
        start = 0
        for column_dtype, length in _columns(cells, dtype, maps, count):
            end = start + column_dtype.itemsize * length
            columns.append(memory[start:end].view(column_dtype))
            start = end
        return cls(cells, memory, *columns)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.memory.nbytes

    def copy_to(self, memory: Tensor) -> SparseMaps:
        """Copy the maps into another piece of memory of the same size, (byte,)."""
        memory.copy_(self.memory)
        sizes = len(self.units), len(self.values)
        return SparseMaps.view(memory, self.cells, self.values.dtype, *sizes)

    def maps(self, which: Tensor, device: torch.device) -> Tensor:
        """Return the maps with indices ``which`` (map,) in full, on ``device``.

        Shape (map, row, column); other cells are `NOT_STORED`, infinite values made finite.
        """
        rows, columns = self.cells
        map_size = rows * columns
        map_indices = which.numpy()
        all_counts = self.counts.numpy()
        counts = all_counts[map_indices]
        starts = all_counts.cumsum(dtype=np.int64)[map_indices] - counts
        cells = _ranges(starts, counts)
        pixels = (np.arange(len(which)) * map_size).repeat(counts)
        pixels += self.positions.numpy().take(cells)
        values = finite(self.values.index_select(0, torch.from_numpy(cells)))
        dense_size = len(which) * map_size
        dense = torch.full(
            (dense_size,), NOT_STORED, dtype=values.dtype, device=device
        )
        dense.index_copy_(0, torch.from_numpy(pixels).to(device), values.to(device))
        return dense.view(-1, rows, columns)

    def above(self, bound: Tensor, *, neighbours: bool) -> SparseMaps:
        """Return the maps that exceed a higher ``bound`` (unit,), in memory of their own.

        With ``neighbours``, all their stored cells are left, and where no map is dropped the
        result is ``self``; without, only the cells that exceed the bound are left.
        """
        bounds = bound.index_select(0, self.units)
        exceeding_maps = self.peaks > bounds
        if neighbours and bool(exceeding_maps.all()):
            return self
        counts = self.counts.numpy()
        if neighbours:
            selected_cells = exceeding_maps.numpy().repeat(counts)
        else:
            selected_cells = self.values.numpy() > bounds.numpy().repeat(counts)
        cells = true_indices(torch.from_numpy(selected_cells))
        return self._select(true_indices(exceeding_maps), cells)

    def _select(self, maps: Tensor, cells: Tensor) -> SparseMaps:
        """Copy maps and cells in these maps by ascending indices, (map,) and (cell,)."""
        ends = torch.searchsorted(cells, self.counts.cumsum(0), out_int32=True)
        counts = ends.diff(prepend=ends.new_zeros(1))  # of the cells in every map
        selected = SparseCells(
            counts.index_select(0, maps),
            self.positions.index_select(0, cells),
            self.values.index_select(0, cells),
        )
        return _pack(
            self.cells,
            self.peaks.index_select(0, maps),
            self.images.index_select(0, maps),
            self.units.index_select(0, maps),
            [selected],
            new_bytes,
        )

    def values_above(self, bound: Tensor) -> tuple[Tensor, Tensor]:
        """Return the units (value,) int32 and values (value,) of cells above ``bound`` (unit,)."""
        counts = self.counts.numpy()
        bounds = bound.index_select(0, self.units).numpy().repeat(counts)
        units = torch.from_numpy(self.units.numpy().repeat(counts))
        above_bound = true_indices(torch.from_numpy(self.values.numpy() > bounds))
        return units.index_select(0, above_bound), self.values.index_select(
            0, above_bound
        )


def peaks_of(maps: Tensor) -> Tensor:
    """Return the maxima (image, unit) of ``maps`` (image, unit, row, column)."""
    return maps.flatten(2).amax(2)


def sparsify(
    maps: Tensor,
    images: Tensor,
    peaks: Tensor,
    bound: Tensor,
    allocate: Allocate = new_bytes,
    *,
    neighbours: bool = True,
) -> SparseMaps:
    """Return the ``maps`` (image, unit, row, column) that exceed ``bound`` (unit,), sparsely.

    ``images`` (image,) are indices into the probe data set, ``peaks`` (image, unit) the maxima of
    the maps. Without ``neighbours``, only the cells above the bound are stored: no masks can be
    made from them.
    """
    _, unit_count, rows, columns = maps.shape
    exceeding = true_indices(peaks > bound)
    image_indices = exceeding // unit_count
    units = exceeding - image_indices * unit_count
    all_maps = maps.flatten(0, 1)
    bounds = bound.index_select(0, units)
    chunk_size = maps_at_once(rows * columns, maps.device)
    chunks = []
    for start in range(0, len(exceeding), chunk_size):
        chunk = slice(start, start + chunk_size)
        exceeding_maps = all_maps.index_select(0, exceeding[chunk])
        chunks.append(
            select_cells(exceeding_maps, bounds[chunk], neighbours=neighbours)
        )
    exceeding_peaks = peaks.flatten().index_select(0, exceeding)
    exceeding_images = images.index_select(0, image_indices)
    return _pack(
        (rows, columns), exceeding_peaks, exceeding_images, units, chunks, allocate
    )


def _ranges(
    starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Return the integers from each start on, ``counts`` of them, range after range.

    ``_ranges([7, 2], [3, 2])`` is [7, 8, 9, 2, 3]. (NumPy's ``repeat`` is faster than torch's.)
    """
    ends = counts.cumsum(dtype=np.int64)  # in the result
    integers: npt.NDArray[np.int64] = (starts - ends + counts).repeat(counts)
    integers += np.arange(len(integers))
    return integers


def _columns(
    cells: tuple[int, int], dtype: torch.dtype, maps: int, count: int
) -> list[tuple[torch.dtype, int]]:
    """Return dtype and length of the tensors of `SparseMaps`, in their order in memory.

    The widest come first, so that each lies at an address that its width divides.
    """
    return [
        (dtype, count),  # values
        (dtype, maps),  # peaks
        *[(torch.int32, maps)] * 3,  # images, units, counts
        (position_dtype(cells[0] * cells[1]), count),  # positions
    ]


def bytes_of(
    cells: tuple[int, int], dtype: torch.dtype, maps: int, count: int
) -> int:
    """Return the memory of ``maps`` maps with ``count`` stored cells, a multiple of 8 bytes."""
    columns = _columns(cells, dtype, maps, count)
    size = sum(column_dtype.itemsize * length for column_dtype, length in columns)
    return -(-size // 8) * 8


def _pack(
    cells: tuple[int, int],
    peaks: Tensor,
    images: Tensor,
    units: Tensor,
    chunks: Sequence[SparseCells],
    allocate: Allocate,
) -> SparseMaps:
    """Copy the ``chunks`` of all maps into one piece of memory on the CPU."""
    count = sum(len(chunk.values) for chunk in chunks)
    memory = allocate(bytes_of(cells, peaks.dtype, len(units), count))
    # bytes behind the last tensor, so that equal maps have equal bytes
    memory[-8:] = 0
    packed = SparseMaps.view(memory, cells, peaks.dtype, len(units), count)
    packed.peaks.copy_(peaks)
    packed.images.copy_(images)
    packed.units.copy_(units)
    _concatenate([chunk.counts for chunk in chunks], packed.counts)
    _concatenate([chunk.positions for chunk in chunks], packed.positions)
    _concatenate([chunk.values for chunk in chunks], packed.values)
    return packed


def _concatenate(tensors: Sequence[Tensor], target: Tensor) -> None:
    """Copy ``tensors`` into ``target`` one after the other, whatever dtype and device."""
    start = 0
    for tensor in tensors:
        end = start + len(tensor)
        target[start:end].copy_(tensor)
        start = end
