"""Memory between batches: glibc keeps it for the next batch instead of returning it each time.

On Linux, large buffers that are freed and allocated again cost more than the computation. glibc
gives every block above a threshold its own pages and returns them when it is freed. The
activations of a network are then cleared by the kernel, page by page, in every forward pass
(benchmarks/README.md has the figures).
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TRIM_THRESHOLD = -1  # of glibc's mallopt
MMAP_THRESHOLD = -3  # of glibc's mallopt

RAISED = 2**30  # bytes, either threshold while memory is retained
LARGEST_ADAPTED = 2**25  # bytes, where glibc's adaptation of its thresholds ends

# bytes of the process since the last trim, before the next one
ALLOWED_GROWTH = 2**30
MIN_CALLS_BETWEEN_TRIMS = 8  # batches


@contextmanager
def retain_memory() -> Iterator[None]:
    """Keep freed memory for the next batch, and return it at the end.

    Other allocators than glibc's are left as they are.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(MMAP_THRESHOLD, RAISED)
    libc.mallopt(TRIM_THRESHOLD, RAISED)
    _last_trim.resident = resident()
    _last_trim.allowed_growth = ALLOWED_GROWTH
    _last_trim.calls_since = 0
    try:
        yield
    finally:
        libc.mallopt(MMAP_THRESHOLD, LARGEST_ADAPTED)
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGEST_ADAPTED)
        libc.malloc_trim(0)


@dataclass
class LastTrim:
    """State of this process when it last returned memory."""

    resident: int = 0  # bytes of the process afterwards
    allowed_growth: int = ALLOWED_GROWTH  # bytes until the next trim
    calls_since: int = 0  # of `trim_memory`


_last_trim = LastTrim()


def trim_memory() -> None:
    """Return freed memory once the process has grown enough; call it after every batch.

    Freed pieces of many sizes that are not returned need ever more memory. What a batch itself
    needs should stay: after two trims within a few batches, more growth is allowed.
    """
    libc = _glibc()
    if libc is None:
        return
    _last_trim.calls_since += 1
    if resident() > _last_trim.resident + _last_trim.allowed_growth:
        libc.malloc_trim(0)
        if _last_trim.calls_since < MIN_CALLS_BETWEEN_TRIMS:
            _last_trim.allowed_growth *= 2
        _last_trim.resident = resident()
        _last_trim.calls_since = 0


def resident() -> int:
    """Return the bytes of memory of this process, on Linux."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * mmap.PAGESIZE


def _glibc() -> ctypes.CDLL | None:
    """Return the C library where it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # musl does not have it
    except (OSError, AttributeError):
        return None
    return libc
