"""Space on the disk that candidates may take."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nd_plugin.errors import NotSaved

DISK_RESERVE = 2**28  # bytes of a disk that stay free; of a small disk, a twentieth


def free_bytes(folder: Path) -> int:
    """Return the bytes that may be used of the disk of ``folder``."""
    disk = shutil.disk_usage(folder)
    reserve = min(DISK_RESERVE, disk.total // 20)
    return max(disk.free - reserve, 0)


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
