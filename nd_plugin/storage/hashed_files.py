"""Contents of files as hashes, of many files by several threads."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

UNREADABLE = "unreadable"  # in the place of a hash
BATCH = 256  # groups of files that are handed to the threads at once


def hash_groups(
    groups: Sequence[Callable[[], Sequence[Path]]], threads: int
) -> Iterator[list[str]]:
    """Yield the SHA-256 of each file, group by group, in order; `UNREADABLE` for what is no file.

    A group is a function that returns its paths. Hashing does not hold Python's lock, so threads
    share the work; ``threads`` are at most that many.
    """
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        for start in range(0, len(groups), BATCH):
            yield from pool.map(_hash_group, groups[start : start + BATCH])


def _hash_group(group: Callable[[], Sequence[Path]]) -> list[str]:
    return [hash_file(path) for path in group()]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a regular file's content; `UNREADABLE` where there is none."""
    try:
        # reading a pipe or a device might never end
        if not stat.S_ISREG(path.stat().st_mode):
            return UNREADABLE
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return UNREADABLE
