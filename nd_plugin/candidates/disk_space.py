"""Space on the disk that candidates may take."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.errors import NotSaved
from nd_plugin.storage.names import nearest_folder

DISK_RESERVE = 2**28  # bytes of a disk that stay free; of a small disk, a twentieth


def free_bytes(folder: Path) -> int:
    """Return the bytes that may be used of the disk of ``folder``."""
    disk = shutil.disk_usage(folder)
    return max(disk.free - _reserve(disk.total), 0)


def _reserve(total: int) -> int:
    """Return the bytes that stay free of a disk of so many."""
    return min(DISK_RESERVE, total // 20)


@dataclass(frozen=True)
class DiskRoom:
    """Room of a disk for checkpoints: what is free beyond the reserve for the result."""

    folder: Path
    result_bytes: int  # that the result takes at most

    def check(self, size: int) -> None:
        """Raise NotSaved where ``size`` bytes more would leave too little for the result."""
        disk = shutil.disk_usage(nearest_folder(self.folder / "file"))
        reserve = max(_reserve(disk.total), self.result_bytes)
        if disk.free - size >= reserve:
            return
        raise NotSaved(
            f"it takes {_megabytes(size)}, the disk of {self.folder} has {_megabytes(disk.free)} "
            f"free, and {_megabytes(reserve)} of these are reserved for the result; the run goes "
            "on without (free some space, or put the run on a larger disk)"
        )


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


@contextmanager
def full_disk_as_not_saved(folder: Path, temporary: bool) -> Iterator[None]:
    """Translate OSError into NotSaved, with the remedy; ``temporary``: the files have no name."""
    try:
        yield
    except OSError as error:
        larger_disk = "put the run on a larger disk"
        if temporary:
            larger_disk = "set TMPDIR to a folder on a larger disk"
        raise NotSaved(
            f"the candidate maps of a layer need more room than there is in {folder} "
            f"({error.strerror or error}): free some space, {larger_disk}, or raise --memory"
        ) from error
