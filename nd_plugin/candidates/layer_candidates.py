"""Candidate maps of a layer: those that may hold a pixel of a mask M_k.

Interpolation never leaves the range of a map. So a map whose maximum does not exceed T_k,
or a lower bound of T_k, lights no pixel and is dropped (docs/method.md). The other maps are
stored sparsely (see `sparse_maps`), in this order of preference:

    device         within its budget, where the model runs on an accelerator (`hold`, `offload`)
    memory         within the memory budget of the run (`update`, `prune`)
    file           beyond that, the oldest batches first (`spill`)
    single values  in the file, where the disk is too small for maps: these give thresholds, but
                   no masks
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from nd_plugin.candidates import device_maps
from nd_plugin.candidates.disk_space import free_bytes, full_disk_as_not_saved
from nd_plugin.candidates.map_file import CandidateFile, StoredMaps
from nd_plugin.candidates.sparse_maps import SparseMaps, sparsify
from nd_plugin.machine.memory_blocks import BlockPool, MemoryPieces, new_bytes
from nd_plugin.method.quantile import UnitValues


@dataclass(eq=False)
class Candidates:
    """Candidate maps of one layer, by batch."""

    cells: tuple[int, int]  # rows and columns of a map
    dtype: torch.dtype
    # of the file, without its suffix; None: a temporary file
    path_without_suffix: Path | None = None
    has_maps: bool = True  # maps with neighbouring cells; otherwise single values
    by_batch: dict[int, SparseMaps | StoredMaps] = field(default_factory=dict)
    file: CandidateFile | None = None  # while open
    file_length: int = 0  # bytes of the file that hold maps
    nbytes: int = 0  # of memory
    device_nbytes: int = 0  # of the device's memory
    # batches whose maps are on the device
    on_device: set[int] = field(default_factory=set)
    batches_at_last_prune: int = 0  # number of batches at the last `prune`
    memory: MemoryPieces = field(default_factory=MemoryPieces)  # by batch

    @property
    def pool(self) -> BlockPool:
        """Pool of memory blocks, which the layers of a run share."""
        return self.memory.pool

    @pool.setter
    def pool(self, pool: BlockPool) -> None:
        self.memory.pool = pool

    @property
    def path(self) -> Path | None:
        """Path of the file; None for a temporary file."""
        if self.path_without_suffix is None:
            return None
        suffix = "maps" if self.has_maps else "values"
        return self.path_without_suffix.with_name(
            f"{self.path_without_suffix.name}.{suffix}"
        )

    def update(
        self, batch: int, images: Tensor, maps: Tensor, peaks: Tensor, bound: Tensor
    ) -> None:
        """Store what exceeds ``bound`` (unit,) of ``maps`` (image, unit, row, column).

        ``peaks`` (image, unit) are the maxima of the maps, ``images`` (image,) their
        indices in the probe data set.
        """
        reserve = self.memory.reserve
        candidates = sparsify(
            maps, images, peaks, bound, reserve, neighbours=self.has_maps
        )
        if len(candidates.units):
            self._book(batch, candidates)

    def hold(self, batch: int, maps: SparseMaps) -> None:
        """Store ``maps``, which are on the device, in the place of any that a batch had before.

        A step that ran out of the device's memory has stored some, and is made once more.
        """
        self._discard(batch)
        self.by_batch[batch] = maps
        self.on_device.add(batch)
        self.device_nbytes += maps.nbytes

    def offload(self, amount: int) -> None:
        """Move ``amount`` bytes of maps from the device to memory, the oldest batches first."""
        target = self.device_nbytes - amount
        for batch in sorted(self.on_device):
            if self.device_nbytes <= target:
                break
            maps = self._take_from_device(batch)
            self._book(batch, maps.copy_to(self.memory.reserve(maps.nbytes)))

    def prune(self, bound: Tensor) -> None:
        """Drop from memory what does not exceed a higher ``bound`` (unit,)."""
        bound_on_cpu = bound.cpu()
        self.batches_at_last_prune = len(self.by_batch)
        for batch, maps in list(self.by_batch.items()):
            if isinstance(maps, StoredMaps):
                continue
            if batch in self.on_device:
                device_bound = bound.to(maps.memory.device)
                exceeding = device_maps.above(
                    maps, device_bound, neighbours=self.has_maps
                )
                self.hold(batch, exceeding)
                continue
            pruned = maps.above(bound_on_cpu, neighbours=self.has_maps)
            if pruned is not maps:
                self._release(batch, maps)
                self._book(
                    batch, pruned.copy_to(self.memory.reserve(pruned.nbytes))
                )

    def spill(self, bound: Tensor, amount: int) -> None:
        """Move ``amount`` bytes of maps from memory to the file, the oldest batches first.

        Where the disk has no room for maps, single values above ``bound`` (unit,) replace them,
        now and in every later `update`. Raises NotSaved where these do not fit either.
        """
        amount = min(amount, self.nbytes)
        with full_disk_as_not_saved(self._folder, self.path_without_suffix is None):
            if self.has_maps and amount > free_bytes(self._folder):
                self._reduce_to_values(bound.cpu())
            self._write_oldest(amount)

    def write_all(self) -> None:
        """Move all maps to the file. Raises NotSaved, without loss, on a full disk."""
        with full_disk_as_not_saved(self._folder, self.path_without_suffix is None):
            self._write_oldest(self.nbytes)
            for batch in sorted(self.on_device):
                stored = self._write(self.of(batch))
                self._take_from_device(batch)
                self.by_batch[batch] = stored

    def reopen(
        self, *, append: bool, check: Callable[[SparseMaps], object] = id
    ) -> None:
        """Open the file of an earlier run, to ``append`` or to read; ``check`` gets all its maps.

        Raises ValueError for a file other than was written.
        """
        assert self.path is not None
        self.file = CandidateFile.reopen(self.path, self.file_length, append=append)
        for stored in self.by_batch.values():
            if isinstance(stored, StoredMaps):
                check(self.file.verify(stored, self.cells, self.dtype))

    def of(self, batch: int) -> SparseMaps:
        """Return the candidates of a batch on the CPU, from wherever they are."""
        maps = self.by_batch.get(batch)
        if batch in self.on_device:
            assert isinstance(maps, SparseMaps)
            return maps.copy_to(new_bytes(maps.nbytes))
        if maps is None:
            return SparseMaps.view(
                new_bytes(0), self.cells, self.dtype, maps=0, count=0
            )
        if isinstance(maps, SparseMaps):
            return maps
        assert self.file is not None
        return self.file.read(maps, self.cells, self.dtype)

    def above(self, batches: Sequence[int], bound: Tensor) -> Iterator[SparseMaps]:
        """Yield on the CPU the candidates of ``batches`` whose maxima exceed ``bound`` (unit,)."""
        for maps in self._groups_on_device(batches):
            device_bound = bound.to(maps.memory.device)
            exceeding = device_maps.above(maps, device_bound, neighbours=True)
            yield exceeding.copy_to(new_bytes(exceeding.nbytes))
        for batch in batches:
            if batch in self.by_batch and batch not in self.on_device:
                yield self.of(batch).above(bound.cpu(), neighbours=True)

    def _groups_on_device(self, batches: Iterable[int]) -> Iterator[SparseMaps]:
        """Yield the maps of ``batches`` that are on the device, many of them together."""
        maps = (
            self.by_batch[batch] for batch in batches if batch in self.on_device
        )
        return device_maps.grouped(
            part for part in maps if isinstance(part, SparseMaps)
        )

    def on(self, batch: int, device: torch.device) -> SparseMaps:
        """Return the candidates of a batch on ``device``, where they may be already."""
        maps = self.by_batch.get(batch)
        if batch in self.on_device:
            assert isinstance(maps, SparseMaps)
            return maps
        maps = self.of(batch)
        memory = torch.empty(maps.nbytes, dtype=torch.uint8, device=device)
        return maps.copy_to(memory)

    def values_above(self, bound: Tensor) -> Iterator[UnitValues]:
        """Yield units and values of all cells above ``bound`` (unit,), on its device."""
        for maps in self._groups_on_device(self.by_batch):
            yield device_maps.values_above(maps, bound)
        bound_on_cpu = bound.cpu()
        for batch in self.by_batch:
            if batch not in self.on_device:
                units, values = self.of(batch).values_above(bound_on_cpu)
                yield units.to(bound.device), values.to(bound.device)

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def _book(self, batch: int, maps: SparseMaps) -> None:
        """Register ``maps``, which lie in the memory that was reserved last."""
        self.memory.book(batch, maps.nbytes)
        self.by_batch[batch] = maps
        self.nbytes += maps.nbytes

    def _release(self, batch: int, maps: SparseMaps) -> None:
        """Free the memory of the ``maps`` of a batch."""
        self.memory.release(batch)
        self.nbytes -= maps.nbytes

    def _discard(self, batch: int) -> None:
        """Free the memory of a batch's maps, on the device or not, if it has any."""
        maps = self.by_batch.get(batch)
        if batch in self.on_device:
            self._take_from_device(batch)
        elif isinstance(maps, SparseMaps):
            self._release(batch, maps)

    def _take_from_device(self, batch: int) -> SparseMaps:
        """Return the maps of a batch on the device, which the caller moves elsewhere."""
        maps = self.by_batch[batch]
        assert isinstance(maps, SparseMaps)
        self.on_device.remove(batch)
        self.device_nbytes -= maps.nbytes
        return maps

    def _write_oldest(self, amount: int) -> None:
        """Write the oldest batches to the file until ``amount`` bytes of memory are free."""
        if self.file is None:
            self.file = CandidateFile.create(self.path)
        target = self.nbytes - amount
        for batch, maps in self.by_batch.items():
            if self.nbytes <= target:
                break
            if isinstance(maps, SparseMaps) and batch not in self.on_device:
                self.by_batch[batch] = self._write(maps)
                self._release(batch, maps)

    def _write(self, maps: SparseMaps) -> StoredMaps:
        """Append ``maps`` to the file."""
        assert self.file is not None
        stored = self.file.write(maps, offset=self.file_length)
        self.file_length += maps.nbytes
        return stored

    def _reduce_to_values(self, bound: Tensor) -> None:
        """Replace all maps by their single values above ``bound`` (unit,), in a new file.

        The maps stay as they are until the new file is complete.
        """
        values = Candidates(
            self.cells, self.dtype, self.path_without_suffix, has_maps=False
        )
        values.file = CandidateFile.create(values.path)
        try:
            for batch in self.by_batch:
                single_values = self.of(batch).above(bound, neighbours=False)
                values.by_batch[batch] = values._write(single_values)
        except BaseException:
            values.close()
            raise
        self.close()
        self.memory.release_all()
        self.on_device.clear()
        self.device_nbytes = 0
        self.has_maps = False
        self.by_batch = values.by_batch
        self.file = values.file
        self.file_length = values.file_length
        self.nbytes = 0

    @property
    def _folder(self) -> Path:
        """Folder that exists, on the disk of the file."""
        if self.path_without_suffix is None:
            return Path(tempfile.gettempdir())
        return next(
            folder
            for folder in self.path_without_suffix.absolute().parents
            if folder.exists()
        )
