"""Sparse maps in a file: one record for each batch, appended and never changed.

A record is the memory of its `SparseMaps` as it is. A file with a name outlives the run, so
a checksum of each record is kept with its position (see `resuming`).
"""

from __future__ import annotations

import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from nd_plugin.candidates.sparse_maps import SparseMaps, bytes_of
from nd_plugin.errors import RunFailed
from nd_plugin.machine.memory_blocks import new_bytes


@dataclass(frozen=True)
class StoredMaps:
    """Position, size and checksum of the sparse maps of one batch in a file."""

    offset: int  # bytes
    maps: int
    count: int  # stored cells
    crc: int = 0  # CRC-32 of the record; 0 in a file without a name


@dataclass(frozen=True)
class CandidateFile:
    """Open file of sparse maps; without a path a temporary one, deleted when it is closed."""

    handle: IO[bytes]  # unbuffered
    path: Path | None = None

    @classmethod
    def create(cls, path: Path | None) -> CandidateFile:
        """Open an empty file. Raises OSError."""
        if path is None:
            return cls(tempfile.TemporaryFile(buffering=0))
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls(open(path, "w+b", buffering=0, opener=_without_links), path)

    @classmethod
    def reopen(cls, path: Path, length: int, *, append: bool) -> CandidateFile:
        """Open the file of an earlier run, whose records end at ``length`` bytes.

        To ``append``, whatever follows them is cut off; otherwise the file is only read.
        Raises ValueError where the file is shorter.
        """
        size = path.stat().st_size
        if size < length:
            raise ValueError(
                f"{path} is {size} bytes long, not {length}: it was cut off or changed"
            )
        handle = path.open("r+b" if append else "rb", buffering=0)
        if append:
            handle.truncate(length)
        return cls(handle, path)

    def write(self, maps: SparseMaps, offset: int) -> StoredMaps:
        """Write the record of ``maps`` at ``offset``. Raises OSError."""
        self.handle.seek(offset)
        unwritten = _bytes(maps.memory)
        while unwritten:
            written = self.handle.write(unwritten)
            unwritten = unwritten[written:]
        crc = 0 if self.path is None else zlib.crc32(_bytes(maps.memory))
        return StoredMaps(offset, len(maps.units), len(maps.values), crc)

    def read(
        self, stored: StoredMaps, cells: tuple[int, int], dtype: torch.dtype
    ) -> SparseMaps:
        """Read a record of maps of ``cells`` (rows, columns). Raises RunFailed if cut off.

        The position of the file stays (where the system can read at an offset): forked
        workers share it.
        """
        size = bytes_of(cells, dtype, stored.maps, stored.count)
        memory = new_bytes(size)
        unread = _bytes(memory)
        while unread:
            offset = stored.offset + size - len(unread)
            length = _read_at(self.handle, unread, offset)
            if length == 0:
                name = self.path or "the temporary file of candidate maps"
                raise RunFailed(
                    f"{name} ends early: another program has changed it"
                )
            unread = unread[length:]
        return SparseMaps.view(memory, cells, dtype, stored.maps, stored.count)

    def verify(
        self, stored: StoredMaps, cells: tuple[int, int], dtype: torch.dtype
    ) -> SparseMaps:
        """Return a record that has its checksum. Raises ValueError where it differs."""
        maps = self.read(stored, cells, dtype)
        if zlib.crc32(_bytes(maps.memory)) != stored.crc:
            raise ValueError(
                f"{self.path} does not hold what was written at byte {stored.offset}: "
                "its checksum differs"
            )
        return maps

    def fileno(self) -> int:
        """Return the descriptor of the open file, for ``os.fsync``."""
        return self.handle.fileno()

    def close(self) -> None:
        """Close the file; a temporary one disappears."""
        self.handle.close()


def _without_links(path: str, flags: int) -> int:
    """Open a file itself: what a link leads to is somebody's own."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _bytes(memory: Tensor) -> memoryview:
    return memoryview(memory.numpy().data)


def _read_at(file: IO[bytes], target: memoryview, offset: int) -> int:
    """Read into ``target`` from ``offset`` and return the number of bytes read."""
    if hasattr(os, "preadv"):
        return os.preadv(file.fileno(), [target], offset)
    file.seek(offset)
    return int(file.readinto(target))  # type: ignore[attr-defined]
