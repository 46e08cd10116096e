"""Maps of one layer's units in their top images, taken from candidates or from activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from nd_plugin.candidates.sparse_maps import SparseMaps, peaks_of
from nd_plugin.method.annotations import Counts
from nd_plugin.method.numpy_on_cpu import true_indices
from nd_plugin.method.upsampling import finite
from nd_plugin.results.top_maps import UNKNOWN

Positions = npt.NDArray[np.int32]
Values = npt.NDArray[np.floating]

MAPS_AT_ONCE = 1024  # dense maps in memory


class SlottedMaps(NamedTuple):
    """Sparse maps, each in a slot: unit * ranks + rank."""

    is_known: npt.NDArray[
        np.bool_
    ]  # (slot,); a known map without cells lights nothing
    slots: Counts  # (map,) of maps with cells
    counts: Counts  # (map,) cells
    positions: Positions  # (cell,) row * columns + column
    values: Values  # (cell,)


class TopMapCollector:
    """Maps of the pairs of a unit and one of its top images that this process has.

    Cells above the unit's lowest threshold are stored, and those that touch them.
    """

    def __init__(self, top_images: Counts, thresholds: Tensor) -> None:
        """Collect for ``top_images`` (unit, rank) above the lowest ``thresholds`` (unit,)."""
        self.top_images = top_images
        self.thresholds = thresholds
        unit_count, rank_count = top_images.shape
        units = np.arange(unit_count).repeat(rank_count)
        keys = self._keys(top_images.ravel(), units)
        self._slots = keys.argsort(kind="stable")
        self._sorted_keys = keys[self._slots]
        self._images = np.unique(top_images)
        self._is_known = np.zeros(top_images.size, np.bool_)
        self._pieces: list[tuple[Counts, Counts, Positions, Values]] = []

    def needs(self, images: Counts) -> bool:
        """Return whether any of ``images`` is a top image of a unit."""
        return bool(np.isin(images, self._images).any())

    def lacks(self, images: Counts) -> bool:
        """Return whether the map of a unit in one of ``images`` is needed and not known."""
        is_top = np.isin(self.top_images, images).ravel()
        return bool((is_top & ~self._is_known).any())

    def cover(self, images: Counts) -> None:
        """Take note that the maps of ``images`` are known from now on.

        A map of these that is not added lights nothing.
        """
        self._is_known |= np.isin(self.top_images, images).ravel()

    def add_sparse(self, maps: SparseMaps) -> None:
        """Add maps of images that are covered."""
        slots = self._find(maps.images.numpy(), maps.units.numpy())
        is_lit = maps.peaks > self.thresholds[maps.units]
        needed = true_indices(torch.from_numpy(slots >= 0) & is_lit)
        for piece in torch.split(needed, MAPS_AT_ONCE):
            dense = maps.maps(piece, torch.device("cpu"))
            self._add(slots[piece.numpy()], dense)

    def add_activations(self, activations: Tensor, images: Counts) -> None:
        """Add the maps of ``activations`` (image, unit, row, column) of ``images`` (image,)."""
        self.cover(images)
        unit_count = len(self.thresholds)
        rows = np.arange(len(images)).repeat(unit_count)
        units = np.tile(np.arange(unit_count), len(images))
        slots = self._find(images[rows], units)
        is_lit = peaks_of(activations).cpu() > self.thresholds
        needed = true_indices(torch.from_numpy(slots >= 0) & is_lit.flatten())
        for piece in torch.split(needed, MAPS_AT_ONCE):
            dense = activations.flatten(0, 1)[piece.to(activations.device)].cpu()
            self._add(slots[piece.numpy()], finite(dense))

    def collected(self) -> SlottedMaps:
        """Return everything that was added."""
        slots = [np.zeros(0, np.int64)]
        counts = [np.zeros(0, np.int64)]
        positions = [np.zeros(0, np.int32)]
        values = [np.zeros(0, self.thresholds.numpy().dtype)]
        for (
            piece_slots,
            piece_counts,
            piece_positions,
            piece_values,
        ) in self._pieces:
            slots.append(piece_slots)
            counts.append(piece_counts)
            positions.append(piece_positions)
            values.append(piece_values)
        return SlottedMaps(
            self._is_known,
            np.concatenate(slots),
            np.concatenate(counts),
            np.concatenate(positions),
            np.concatenate(values),
        )

    def _keys(self, images: Counts, units: Counts) -> Counts:
        return images.astype(np.int64) * len(self.thresholds) + units

    def _find(self, images: Counts, units: Counts) -> Counts:
        """Return the slot of each pair of ``images`` and ``units`` (pair,); -1 for none."""
        keys = self._keys(images, units)
        places = np.searchsorted(self._sorted_keys, keys)
        places = places.clip(max=len(self._sorted_keys) - 1)
        is_needed = self._sorted_keys[places] == keys
        return np.where(is_needed, self._slots[places], -1)

    def _add(self, slots: Counts, dense: Tensor) -> None:
        """Store the cells of ``dense`` (map, row, column) that decide about pixels of M_k."""
        units = torch.from_numpy(slots // self.top_images.shape[1])
        is_lit = dense > self.thresholds[units][:, None, None]
        # unlike `select_cells`, exactly the neighbours: whatever the batch, the same cells
        touches_lit = max_pool2d(is_lit[:, None].float(), 3, stride=1, padding=1)
        selected = touches_lit.flatten(1) > 0
        cells = true_indices(selected.flatten())
        positions = cells % selected.shape[1]
        self._pieces.append(
            (
                slots,
                selected.sum(1).numpy(),
                positions.int().numpy(),
                dense.flatten()[cells].numpy(),
            )
        )


def in_slots(
    collections: Sequence[SlottedMaps], slots: Counts
) -> tuple[npt.NDArray[np.int32], Positions, Values]:
    """Return the maps of some ``slots`` (slot,), of all processes' collections, in that order.

    Returns counts of cells (slot,), `UNKNOWN` where no process knows the map, and positions and
    values of all cells.
    """
    is_known = np.any([maps.is_known for maps in collections], axis=0)
    all_slots = np.concatenate([maps.slots for maps in collections])
    all_counts = np.concatenate([maps.counts for maps in collections])
    positions = np.concatenate([maps.positions for maps in collections])
    values = np.concatenate([maps.values for maps in collections])
    starts_of_slots = np.zeros(len(is_known), np.int64)
    counts_of_slots = np.zeros(len(is_known), np.int64)
    starts_of_slots[all_slots] = all_counts.cumsum() - all_counts
    counts_of_slots[all_slots] = all_counts
    counts = counts_of_slots[slots]
    ends = counts.cumsum()
    cells = (starts_of_slots[slots] - ends + counts).repeat(counts)
    cells += np.arange(len(cells))
    known_counts = np.where(is_known[slots], counts, UNKNOWN)
    return known_counts.astype(np.int32), positions[cells], values[cells]
