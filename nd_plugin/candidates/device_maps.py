"""Sparse maps on the device of the model: made, searched and densified in large steps.

The same as `sparse_maps` does on the host, without NumPy: a few kernels for many batches at once,
and only the sizes of results come back to the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from nd_plugin.candidates.sparse_maps import (
    NOT_STORED,
    PendingMaps,
    SparseMaps,
    bytes_of,
)
from nd_plugin.method.cell_selection import position_dtype
from nd_plugin.method.upsampling import finite

# for each cell of a map that exceeds its bound: the value twice, flags, indices of selected ones
BYTES_PER_CELL = 16
GROUP_BYTES = 2**26  # of sparse maps that are looked through together


def sparsify_batches(
    pending: Sequence[PendingMaps],
    bound: Tensor,
    work_bytes: int,
    *,
    neighbours: bool = True,
) -> Iterator[tuple[int, SparseMaps]]:
    """Yield the maps of each batch that exceed ``bound`` (unit,), by batch number.

    Batches without such a map are left out; a step takes about ``work_bytes``, or one batch.
    Without ``neighbours``, only the cells above the bound are stored.
    """
    cells_at_once = work_bytes // BYTES_PER_CELL
    exceeding = [(batch.peaks > bound).flatten() for batch in pending]
    indices = torch.cat(exceeding).nonzero()[:, 0]
    map_counts = torch.stack([flags.sum() for flags in exceeding]).tolist()
    map_ends = list(accumulate(map_counts))
    batch_ends = list(accumulate(len(flags) for flags in exceeding))
    map_size = pending[0].maps.shape[2] * pending[0].maps.shape[3]
    group: list[_Exceeding] = []
    cells = 0
    for batch, first, start, end in zip(
        pending,
        [0, *batch_ends[:-1]],
        [0, *map_ends[:-1]],
        map_ends,
        strict=True,
    ):
        if start == end:
            continue
        if group and cells + (end - start) * map_size > cells_at_once:
            yield from _sparsify_group(group, bound, neighbours)
            group = []
            cells = 0
        group.append(_Exceeding(batch, indices[start:end] - first))
        cells += (end - start) * map_size
    if group:
        yield from _sparsify_group(group, bound, neighbours)


class _Exceeding:
    """Maps of one batch that exceed their bound."""

    def __init__(self, batch: PendingMaps, indices: Tensor) -> None:
        """Take the maps with ``indices`` (map,), image * units + unit."""
        unit_count = batch.maps.shape[1]
        self.batch = batch
        image_indices = indices // unit_count
        self.units = indices - image_indices * unit_count
        self.images = batch.images[image_indices]
        self.peaks = batch.peaks.flatten()[indices]
        self.maps = batch.maps.flatten(0, 1).index_select(0, indices)


def _sparsify_group(
    group: Sequence[_Exceeding], bound: Tensor, neighbours: bool
) -> Iterator[tuple[int, SparseMaps]]:
    """Yield the sparse maps of each batch of a group."""
    maps = torch.cat([exceeding.maps for exceeding in group])
    units = torch.cat([exceeding.units for exceeding in group])
    map_count, rows, columns = maps.shape
    selected = _selected_cells(maps, bound[units], neighbours)
    counts = selected.view(map_count, rows * columns).sum(1, dtype=torch.int32)
    cells = selected.nonzero()[:, 0]
    values = maps.flatten()[cells]
    positions = (cells % (rows * columns)).to(position_dtype(rows * columns))
    counts_of_batches = torch.split(
        counts, [len(exceeding.units) for exceeding in group]
    )
    cell_counts = torch.stack(
        [batch_counts.sum() for batch_counts in counts_of_batches]
    ).tolist()
    cell_ends = list(accumulate(cell_counts))
    for index, exceeding in enumerate(group):
        cell_slice = slice(cell_ends[index] - cell_counts[index], cell_ends[index])
        packed = _empty(
            (rows, columns),
            maps.dtype,
            len(exceeding.units),
            cell_counts[index],
            maps.device,
        )
        packed.values.copy_(values[cell_slice])
        packed.peaks.copy_(exceeding.peaks)
        packed.images.copy_(exceeding.images)
        packed.units.copy_(exceeding.units)
        packed.counts.copy_(counts_of_batches[index])
        packed.positions.copy_(positions[cell_slice])
        yield exceeding.batch.batch, packed


def _empty(
    cells: tuple[int, int],
    dtype: torch.dtype,
    maps: int,
    count: int,
    device: torch.device,
) -> SparseMaps:
    """Return sparse maps to be filled, in one piece of memory of the device."""
    size = bytes_of(cells, dtype, maps, count)
    memory = torch.empty(size, dtype=torch.uint8, device=device)
    # bytes behind the last tensor, so that equal maps have equal bytes
    memory[-8:] = 0
    return SparseMaps.view(memory, cells, dtype, maps, count)


def _selected_cells(maps: Tensor, bounds: Tensor, neighbours: bool) -> Tensor:
    """Return whether each cell is above its map's bound or, with ``neighbours``, touches one.

    Returns (map * row * column,) bool. As in `cell_selection`, some cells of the next row or map
    are selected needlessly.
    """
    selected = (maps > bounds[:, None, None]).flatten()
    if not neighbours:
        return selected
    return _dilate(_dilate(selected, 1), maps.shape[2])


def _dilate(selected: Tensor, step: int) -> Tensor:
    dilated = selected.clone()
    dilated[step:] |= selected[:-step]
    dilated[:-step] |= selected[step:]
    return dilated


def above(maps: SparseMaps, bound: Tensor, *, neighbours: bool) -> SparseMaps:
    """Return the maps that exceed a higher ``bound`` (unit,), as `SparseMaps.above` does."""
    bounds = bound[maps.units]
    exceeding = maps.peaks > bounds
    owner = cell_owners(maps)
    selected = exceeding[owner] if neighbours else maps.values > bounds[owner]
    cells = selected.nonzero()[:, 0]
    map_indices = exceeding.nonzero()[:, 0]
    if neighbours and len(map_indices) == len(exceeding):
        return maps
    counts = torch.zeros_like(maps.counts)
    counts.index_add_(0, owner, selected.int())
    packed = _empty(
        maps.cells,
        maps.values.dtype,
        len(map_indices),
        len(cells),
        maps.memory.device,
    )
    packed.values.copy_(maps.values[cells])
    packed.peaks.copy_(maps.peaks[map_indices])
    packed.images.copy_(maps.images[map_indices])
    packed.units.copy_(maps.units[map_indices])
    packed.counts.copy_(counts[map_indices])
    packed.positions.copy_(maps.positions[cells])
    return packed


def values_above(maps: SparseMaps, bound: Tensor) -> tuple[Tensor, Tensor]:
    """Return units (value,) int32 and values (value,) of cells above ``bound`` (unit,)."""
    units = maps.units[cell_owners(maps)]
    cells = (maps.values > bound[units]).nonzero()[:, 0]
    return units[cells], maps.values[cells]


def joined(parts: Sequence[SparseMaps]) -> SparseMaps:
    """Join sparse maps of one layer, at least one, in one piece of memory of their device."""
    if len(parts) == 1:
        return parts[0]
    dtype = parts[0].values.dtype
    maps = _empty(
        parts[0].cells,
        dtype,
        sum(len(part.units) for part in parts),
        sum(len(part.values) for part in parts),
        parts[0].memory.device,
    )
    torch.cat([part.values for part in parts], out=maps.values)
    torch.cat([part.peaks for part in parts], out=maps.peaks)
    torch.cat([part.images for part in parts], out=maps.images)
    torch.cat([part.units for part in parts], out=maps.units)
    torch.cat([part.counts for part in parts], out=maps.counts)
    torch.cat([part.positions for part in parts], out=maps.positions)
    return maps


def grouped(
    parts: Iterable[SparseMaps], nbytes: int = GROUP_BYTES
) -> Iterator[SparseMaps]:
    """Yield sparse maps of one layer, joined up to about ``nbytes``.

    Each look at results on a device waits for it, however few there are.
    """
    group: list[SparseMaps] = []
    for part in parts:
        group.append(part)
        if sum(item.nbytes for item in group) > nbytes:
            yield joined(group)
            group = []
    if group:
        yield joined(group)


def cell_owners(maps: SparseMaps) -> Tensor:
    """Return the index of each cell's map, (cell,) int64."""
    map_indices = torch.arange(len(maps.counts), device=maps.counts.device)
    return map_indices.repeat_interleave(maps.counts, output_size=len(maps.values))


class JoinedMaps:
    """Sparse maps of many batches on a device, densified some at a time."""

    def __init__(self, parts: Sequence[SparseMaps]) -> None:
        self.cells: tuple[int, int] = parts[0].cells
        self.values: Tensor = torch.cat([part.values for part in parts])
        self.peaks: Tensor = torch.cat([part.peaks for part in parts])
        self.images: Tensor = torch.cat([part.images for part in parts]).long()
        self.units: Tensor = torch.cat([part.units for part in parts]).long()
        self.counts: Tensor = torch.cat([part.counts for part in parts]).long()
        self.positions: Tensor = torch.cat([part.positions for part in parts])
        self.cell_ends: Tensor = self.counts.cumsum(0)

    def dense(self, which: Tensor, cell_count: int) -> Tensor:
        """Return the maps with indices ``which`` (map,) in full, (map, row, column).

        They have ``cell_count`` stored cells; the other cells are `NOT_STORED`, infinite values
        made finite.
        """
        rows, columns = self.cells
        counts = self.counts[which]
        starts = self.cell_ends[which] - counts
        map_indices = torch.arange(len(which), device=which.device)
        owner = map_indices.repeat_interleave(counts, output_size=cell_count)
        first_cells = counts.cumsum(0) - counts
        cell_numbers = torch.arange(cell_count, device=which.device)
        cells = cell_numbers + (starts - first_cells)[owner]
        dense = torch.full(
            (len(which) * rows * columns,),
            NOT_STORED,
            dtype=self.values.dtype,
            device=which.device,
        )
        dense[owner * (rows * columns) + self.positions[cells]] = finite(
            self.values[cells]
        )
        return dense.view(len(which), rows, columns)
