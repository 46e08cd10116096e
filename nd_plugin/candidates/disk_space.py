"""Space on the disk that candidates may take."""

from __future__ import annotations

import shutil
from pathlib import Path

DISK_RESERVE = 2**28  # bytes of a disk that stay free; of a small disk, a twentieth


def free_bytes(folder: Path) -> int:
    """Return the bytes that may be used of the disk of ``folder``."""
    disk = shutil.disk_usage(folder)
    reserve = min(DISK_RESERVE, disk.total // 20)
    return max(disk.free - reserve, 0)
