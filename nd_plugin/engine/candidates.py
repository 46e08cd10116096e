"""The maps that may hold a pixel of M_k, kept while the images pass through the model once.

Interpolation never leaves the range of a map; so a map whose maximum does not exceed T_k, or anything that T_k is not
less than, lights nothing and is forgotten (DESIGN section 4). What is kept lies in memory up to a budget, and in a file
beyond it; of a layer for which the disk is too small, only the values above the bound are kept (see `kept`), which give
thresholds, and no masks.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import IO

import torch
from torch import Tensor

from nd_plugin.engine.sparse_maps import SparseMaps, bytes_of, sparsify
from nd_plugin.errors import NotSaved, RunFailed
from nd_plugin.method.quantile import Flat

BLOCK = (
    2**25
)  # bytes: maps are kept in few large pieces of memory, each freed when nothing in it is needed any more


SPARE = 2**28  # bytes of the disk that are left alone, of a small disk one part in twenty


@dataclass(frozen=True)
class StoredMaps:
    """Where in the file a part lies."""

    offset: int
    maps: int
    count: int  # cells kept
    crc: int = 0  # of its bytes, in a file that outlives the run


@dataclass(eq=False)
class Block:
    """A large piece of memory that maps of some batches lie in."""

    memory: Tensor  # (byte,)
    filled: int = 0  # bytes
    batches: int = 0  # that have maps in it


@dataclass
class BlockPool:
    """Memory that is used again and again: the kernel clears fresh pages, at a cost above that of the copying."""

    free: list[Block] = field(default_factory=list)
    lock: Lock = field(
        default_factory=Lock, init=False, repr=False
    )  # layers may be looked through side by side

    def block(self, size: int) -> Block:
        """An empty block that holds ``size`` bytes."""
        with self.lock:
            for place, block in enumerate(self.free):
                if len(block.memory) >= size:
                    return self.free.pop(place)
        return Block(torch.empty(max(BLOCK, size), dtype=torch.uint8, device="cpu"))


@dataclass(eq=False)
class Candidates:
    """The candidates of one layer, batch by batch."""

    cells: tuple[int, int]
    dtype: torch.dtype
    place: Path | None = (
        None  # the files' folder and the beginning of their names; None: a temporary file
    )
    whole: bool = True  # maps; else single values
    parts: dict[int, SparseMaps | StoredMaps] = field(default_factory=dict)  # by batch
    file: IO[bytes] | None = None
    end: int = 0  # of what the file holds
    nbytes: int = 0  # memory taken
    pruned: int = 0  # batches there were when it was done last
    room: BlockPool = field(default_factory=BlockPool)
    block: Block | None = None  # being filled
    homes: dict[int, Block] = field(default_factory=dict)  # by batch

    def update(
        self, batch: int, images: Tensor, maps: Tensor, peaks: Tensor, bound: Tensor
    ) -> None:
        """Keep what exceeds ``bound`` (unit,) of ``maps`` (image, unit, row, column), whose maxima are ``peaks``."""
        kept = sparsify(maps, images, peaks, bound, self._place, neighbours=self.whole)
        if len(kept.units):
            self._settle(batch, kept)

    def _place(self, size: int) -> Tensor:
        """Room for so many bytes."""
        if self.block is None or self.block.filled + size > len(self.block.memory):
            self.block = self.room.block(size)
        return self.block.memory[self.block.filled : self.block.filled + size]

    def _settle(self, batch: int, kept: SparseMaps) -> None:
        """Keep what has been put into the room that `_place` gave."""
        assert self.block is not None
        self.block.filled += kept.nbytes
        self.block.batches += 1
        self.parts[batch], self.homes[batch], self.nbytes = (
            kept,
            self.block,
            self.nbytes + kept.nbytes,
        )

    def _leave(self, block: Block | None) -> None:
        """A batch's maps are no longer in their block."""
        if block is None:
            return
        block.batches -= 1
        if block.batches == 0:
            block.filled = 0
            if block is not self.block:
                self.room.free.append(block)

    def prune(self, bound: Tensor) -> None:
        """Forget, of what lies in memory, what a better bound rules out."""
        bound, self.pruned = bound.cpu(), len(self.parts)
        for batch, part in list(self.parts.items()):
            left = (
                part.above(bound, neighbours=self.whole) if isinstance(part, SparseMaps) else part
            )
            if isinstance(part, SparseMaps) and isinstance(left, SparseMaps) and left is not part:
                self.nbytes -= part.nbytes
                home = self.homes.pop(batch)
                self._settle(batch, left.moved(self._place(left.nbytes)))
                self._leave(home)

    def spill(self, bound: Tensor, amount: int) -> None:
        """Bring so many bytes from memory to the file, the oldest first.

        Where the disk has no room for maps, the single values above ``bound`` (unit,) are kept in their place, from now
        on. Raises NotSaved where these do not fit either.
        """
        amount = min(amount, self.nbytes)
        with self._told_of_a_full_disk():
            if self.whole and amount > free_bytes(self._folder):
                self._keep_values_only(bound.cpu())
            self._write_oldest(amount)

    def store(self) -> None:
        """Bring everything to the file. Raises NotSaved where there is no room; nothing is lost then."""
        with self._told_of_a_full_disk():
            self._write_oldest(self.nbytes)

    @contextmanager
    def _told_of_a_full_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = (
                "set TMPDIR to a larger disk"
                if self.place is None
                else "put the run on a larger disk"
            )
            raise NotSaved(
                f"the candidates of a layer need more room than there is in {self._folder} ({error.strerror or error});"
                f" make room, {remedy}, or give more --memory"
            ) from error

    def _write_oldest(self, amount: int) -> None:
        if self.file is None and self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("w+b", buffering=0)
        elif self.file is None:
            self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # see close
        enough = self.nbytes - amount
        for batch, part in self.parts.items():
            if self.nbytes <= enough:
                break
            if isinstance(part, SparseMaps):
                self.parts[batch], self.nbytes = self._write(part), self.nbytes - part.nbytes
                self._leave(self.homes.pop(batch, None))

    def _keep_values_only(self, bound: Tensor) -> None:
        before = replace(self)
        self.whole, self.parts, self.file, self.end, self.nbytes = False, {}, None, 0, 0
        self.block, self.homes = None, {}
        self._write_oldest(0)
        for batch in before.parts:
            self.parts[batch] = self._write(before.of(batch).above(bound, neighbours=False))
        before.close()

    def reopen(self, *, to_go_on: bool) -> None:
        """Open the file that a run left, as long as it is said to be; ``to_go_on``, what lies beyond is cut off."""
        assert self.path is not None
        if self.path.stat().st_size < self.end:
            raise ValueError(
                f"{self.path} is {self.path.stat().st_size} bytes long, and not {self.end}"
            )
        self.file = self.path.open("r+b" if to_go_on else "rb", buffering=0)
        if to_go_on:
            self.file.truncate(self.end)
        for part in self.parts.values():
            if isinstance(part, StoredMaps) and part.crc != _crc(self._read(part)):
                raise ValueError(f"{self.path} does not hold what was written at {part.offset}")

    @property
    def _folder(self) -> Path:
        if self.place is None:
            return Path(tempfile.gettempdir())
        return next(folder for folder in self.place.absolute().parents if folder.exists())

    @property
    def path(self) -> Path | None:
        """Of the file, where it has a name."""
        return self.place and self.place.with_name(
            f"{self.place.name}.{'maps' if self.whole else 'values'}"
        )

    def _write(self, part: SparseMaps) -> StoredMaps:
        assert self.file is not None
        self.file.seek(self.end)
        left = memoryview(part.memory.numpy().data)
        while left:
            left = left[self.file.write(left) :]
        crc = 0 if self.place is None else _crc(part)
        stored, self.end = (
            StoredMaps(self.end, len(part.units), len(part.values), crc),
            self.file.tell(),
        )
        return stored

    def of(self, batch: int) -> SparseMaps:
        """The candidates of a batch."""
        part = self.parts.get(batch, StoredMaps(0, 0, 0))
        return part if isinstance(part, SparseMaps) else self._read(part)

    def _read(self, part: StoredMaps) -> SparseMaps:
        memory = torch.empty(
            bytes_of(self.cells, self.dtype, part.maps, part.count), dtype=torch.uint8, device="cpu"
        )
        left, place = memoryview(memory.numpy().data), part.offset
        while self.file is not None and left:
            got = _read_at(self.file, left, place)
            if not got:
                raise RunFailed(
                    f"the file of candidates {self.path or ''} ends early: something else has changed it"
                )
            left, place = left[got:], place + got
        return SparseMaps.on(memory, self.cells, self.dtype, part.maps, part.count)

    def flat(self, bound: Tensor) -> Iterator[Flat]:
        """Units and values of everything above ``bound`` (unit,), part by part."""
        bound = bound.cpu()
        for batch in self.parts:
            yield self.of(batch).lit(bound)

    def close(self) -> None:
        """Let go of the file."""
        if self.file is not None:
            self.file.close()
            self.file = None


def _read_at(file: IO[bytes], memory: memoryview, place: int) -> int:
    """How many bytes were read; the file's position stays, which copies of this process share."""
    if hasattr(os, "preadv"):
        return os.preadv(file.fileno(), [memory], place)
    file.seek(place)
    return int(file.readinto(memory))  # type: ignore[attr-defined]


def _crc(part: SparseMaps) -> int:
    return zlib.crc32(memoryview(part.memory.numpy().data))


def free_bytes(folder: Path) -> int:
    """That may be taken of the disk on which a folder lies."""
    disk = shutil.disk_usage(folder)
    return max(disk.free - min(SPARE, disk.total // 20), 0)
