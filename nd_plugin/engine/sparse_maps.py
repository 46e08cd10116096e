"""What is kept of a map: the cells that exceed their unit's bound, and those that touch one.

A pixel of M_k lies between four cells of its map. One of them is above T_k, interpolation being convex, and so above
anything that T_k is not less than; the other three touch it. No other cell is ever looked at (see `tiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import true_indices
from nd_plugin.method.upsampling import finite

Memory = Callable[[int], Tensor]  # so many bytes, (byte,) uint8, at an address that 8 divides


IN_CACHE = 2**18  # cells looked through at a time on a CPU


AT_ONCE = 2**24  # and elsewhere


FORGOTTEN = (
    -torch.inf
)  # stands for cells that were not kept: what they interpolate to, NaN too, is above nothing


class Piece(NamedTuple):
    """The cells of some maps, on the device where these lie."""

    counts: Tensor  # (map,) int32, cells kept
    places: Tensor  # (cell,) row * columns + column, ascending in each map
    values: Tensor  # (cell,)


@dataclass(frozen=True)
class SparseMaps:
    """What is kept of maps of some images, in the order of the images; on the CPU, in one piece of memory."""

    cells: tuple[int, int]  # rows and columns of a map
    memory: Tensor  # (byte,) uint8, in which all that follows lies
    values: Tensor  # (cell,)
    peaks: Tensor  # (map,) maxima
    images: Tensor  # (map,) int32, into the concept set
    units: Tensor  # (map,) int32
    counts: Tensor  # (map,) int32, cells kept
    places: Tensor  # (cell,) row * columns + column, ascending in each map

    @classmethod
    def on(
        cls, memory: Tensor, cells: tuple[int, int], dtype: torch.dtype, maps: int, count: int
    ) -> SparseMaps:
        """So many ``maps``, and ``count`` cells of them, as they lie in ``memory`` (byte,)."""
        place, columns = 0, []
        for kind, length in _columns(cells, dtype, maps, count):
            columns.append(memory[place : place + kind.itemsize * length].view(kind))
            place += kind.itemsize * length
        return cls(cells, memory, *columns)

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.memory.nbytes

    def moved(self, memory: Tensor) -> SparseMaps:
        """The same in another piece of memory, (byte,)."""
        sizes = len(self.units), len(self.values)
        return SparseMaps.on(memory.copy_(self.memory), self.cells, self.values.dtype, *sizes)

    def maps(self, which: Tensor, device: torch.device) -> Tensor:
        """The maps at the places ``which`` (map,), on ``device``; (map, row, column), `FORGOTTEN` where not kept."""
        size, wanted, counts = self.cells[0] * self.cells[1], which.numpy(), self.counts.numpy()
        starts = counts.cumsum(dtype=np.int64)[wanted] - counts[wanted]
        counts = counts[wanted]
        ends = counts.cumsum(dtype=np.int64)
        source = (starts - ends + counts).repeat(counts)  # NumPy repeats several times as fast
        source += np.arange(len(source))
        places = (np.arange(len(wanted)) * size).repeat(counts)
        places += self.places.numpy().take(source)
        values = finite(self.values.index_select(0, torch.from_numpy(source)))
        dense = torch.full((len(wanted) * size,), FORGOTTEN, dtype=values.dtype, device=device)
        dense.index_copy_(0, torch.from_numpy(places).to(device), values.to(device))
        return dense.view(-1, *self.cells)

    def above(self, bound: Tensor, *, neighbours: bool) -> SparseMaps:
        """The maps that exceed a better ``bound`` (unit,), as they are or without ``neighbours``."""
        bounds, counts = bound.index_select(0, self.units), self.counts.numpy()
        lit = self.peaks > bounds
        if neighbours and bool(lit.all()):
            return self
        of_cells = (
            lit.numpy().repeat(counts)
            if neighbours
            else self.values.numpy() > bounds.numpy().repeat(counts)
        )
        found, stay = true_indices(torch.from_numpy(of_cells)), true_indices(lit)
        before = torch.searchsorted(
            found, self.counts.cumsum(0), out_int32=True
        )  # of the cells up to each map's end
        left = before.diff(prepend=before.new_zeros(1)).index_select(0, stay)
        piece = Piece(left, self.places.index_select(0, found), self.values.index_select(0, found))
        peaks, images, units = (
            column.index_select(0, stay) for column in (self.peaks, self.images, self.units)
        )
        return _gathered(self.cells, peaks, images, units, [piece], _fresh)

    def lit(self, bound: Tensor) -> tuple[Tensor, Tensor]:
        """Units (value,) int32 and values (value,) of all cells above ``bound`` (unit,)."""
        counts = self.counts.numpy()
        bounds = bound.index_select(0, self.units).numpy().repeat(counts)
        units = torch.from_numpy(self.units.numpy().repeat(counts))
        found = true_indices(torch.from_numpy(self.values.numpy() > bounds))
        return units.index_select(0, found), self.values.index_select(0, found)


def sparsify(
    maps: Tensor,
    images: Tensor,
    peaks: Tensor,
    bound: Tensor,
    memory: Memory | None = None,
    *,
    neighbours: bool = True,
) -> SparseMaps:
    """What exceeds ``bound`` (unit,) of ``maps`` (image, unit, row, column) of ``images`` (image,).

    ``peaks`` (image, unit) are their maxima. Without ``neighbours``, nothing but the values above the bound, for which
    no masks can be had.
    """
    found, cells = true_indices(peaks > bound), (maps.shape[2], maps.shape[3])
    image = found // maps.shape[1]
    unit = found - image * maps.shape[1]
    flat, bounds = maps.flatten(0, 1), bound.index_select(0, unit)
    pieces, place = [], 0
    for some in _split(found, cells):
        chosen = flat.index_select(0, some)
        pieces.append(sparse(chosen, bounds[place : place + len(some)], neighbours=neighbours))
        place += len(some)
    columns = (peaks.flatten().index_select(0, found), images.index_select(0, image), unit)
    return _gathered(cells, *columns, pieces, memory or _fresh)


def sparse(maps: Tensor, bound: Tensor, *, neighbours: bool) -> Piece:
    """The cells of ``maps`` (map, row, column) above ``bound`` (map,), and those that touch one."""
    size, device = maps.shape[1] * maps.shape[2], maps.device
    if device.type == "cpu":
        wanted = torch.from_numpy(_wanted(maps.numpy(), bound.numpy(), neighbours))
    else:
        wanted = _wanted(maps, bound, neighbours)
    found = true_indices(wanted)
    place = _places(size, device)
    counts = wanted.view(len(maps), size).sum(1, dtype=torch.int32)
    return Piece(counts, place.index_select(0, found), maps.flatten().index_select(0, found))


def _wanted(maps: Any, bound: Any, neighbours: bool) -> Any:
    """`sparse`'s cells, (map * row * column,) bool, of tensors or of NumPy's arrays.

    NumPy needs no second thread to be as fast as torch here, and so waits for none where processes decode beside.
    """
    lit = (maps > bound[:, None, None]).reshape(-1)
    return _and_beside(_and_beside(lit, 1), maps.shape[2]) if neighbours else lit


def _and_beside(lit: Any, step: int) -> Any:
    """``lit`` (cell,) bool, and what lies a ``step`` before and behind.

    All maps are one line here: what touches only over the end of a row is kept for nothing, which is seldom.
    """
    wide = lit | lit
    wide[step:] |= lit[:-step]
    wide[:-step] |= lit[step:]
    return wide


def _at_once(size: int, device: torch.device) -> int:
    """How many maps of so many cells are looked through at a time."""
    return max((IN_CACHE if device.type == "cpu" else AT_ONCE) // size, 1)


def _split(maps: Tensor, cells: tuple[int, int]) -> Sequence[Tensor]:
    """``maps`` (map,) in pieces that are looked through at a time."""
    return torch.split(maps, _at_once(cells[0] * cells[1], maps.device)) if len(maps) else ()


@lru_cache(maxsize=16)
def _places(size: int, device: torch.device) -> Tensor:
    """The place in its map of every cell of such a piece, (cell,)."""
    return torch.arange(size, dtype=_kind_of_places(size), device=device).repeat(
        _at_once(size, device)
    )


def _columns(
    cells: tuple[int, int], dtype: torch.dtype, maps: int, count: int
) -> list[tuple[torch.dtype, int]]:
    """Kind and length of each, the widest first so that all lie at addresses which their width divides."""
    place = _kind_of_places(cells[0] * cells[1])
    return [(dtype, count), (dtype, maps), *[(torch.int32, maps)] * 3, (place, count)]


def _kind_of_places(cells: int) -> torch.dtype:
    """The smallest that counts the cells of a map."""
    return next(
        kind
        for kind in (torch.uint8, torch.int16, torch.int32)
        if cells <= torch.iinfo(kind).max + 1
    )


def bytes_of(cells: tuple[int, int], dtype: torch.dtype, maps: int, count: int) -> int:
    """What so many ``maps`` take, of which ``count`` cells are kept; a multiple of 8."""
    size = sum(kind.itemsize * length for kind, length in _columns(cells, dtype, maps, count))
    return -(-size // 8) * 8


def _fresh(size: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device="cpu")


def _gathered(
    cells: tuple[int, int],
    peaks: Tensor,
    images: Tensor,
    units: Tensor,
    pieces: Sequence[Piece],
    memory: Memory,
) -> SparseMaps:
    """The pieces of all maps, brought to the CPU."""
    count = sum(len(piece.values) for piece in pieces)
    size = bytes_of(cells, peaks.dtype, len(units), count)
    kept = SparseMaps.on(memory(size), cells, peaks.dtype, len(units), count)
    kept.memory[-8:] = 0  # what is left over, so that files do not differ
    for column, parts in (
        (kept.values, [piece.values for piece in pieces]),
        (kept.peaks, [peaks]),
        (kept.images, [images]),
        (kept.units, [units]),
        (kept.counts, [piece.counts for piece in pieces]),
        (kept.places, [piece.places for piece in pieces]),
    ):
        place = 0
        for part in parts:
            column[place : place + len(part)].copy_(part)
            place += len(part)
    return kept
