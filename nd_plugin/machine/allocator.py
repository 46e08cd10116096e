"""What the surroundings cost: memory that is returned too soon, threads that wait for each other.

On Linux, large buffers that are freed and allocated again cost more than the computation.
glibc gives every block above a threshold its own pages and returns them when it is freed; a network's activations are
then cleared by the kernel, page by page, in every forward pass (benchmarks/README.md has the figures).
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


RAISED = 2**30


PAGE = mmap.PAGESIZE


SELDOM = 8  # batches


HELD = (
    2**30
)  # bytes of the process beyond those after the last return, at which memory is returned again


LARGEST_ADAPTED = 2**25  # what glibc's own adaptation ends with; trimming at twice as much


@contextmanager
def retain_memory() -> Iterator[None]:
    """Memory is kept for the next batch; afterwards it is returned. Nothing happens elsewhere than with glibc."""
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(MMAP_THRESHOLD, RAISED)
    libc.mallopt(TRIM_THRESHOLD, RAISED)
    _relief.base, _relief.allowed, _relief.calls = resident(), HELD, 0
    try:
        yield
    finally:
        libc.mallopt(MMAP_THRESHOLD, LARGEST_ADAPTED)
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGEST_ADAPTED)
        libc.malloc_trim(0)


@dataclass
class _Relief:
    """When a process last returned memory."""

    base: int = 0  # bytes of the process, after that
    allowed: int = HELD
    calls: int = 0  # since then


_relief = _Relief()


def trim_memory() -> None:
    """Return freed memory, now and then: pieces of many sizes, freed and not returned, come to need more and more.

    To be called after every batch. What a batch itself needs is not returned each time: where that were to happen, more
    is allowed.
    """
    libc = _glibc()
    if libc is None:
        return
    _relief.calls += 1
    if resident() > _relief.base + _relief.allowed:
        libc.malloc_trim(0)
        _relief.allowed *= 2 if _relief.calls < SELDOM else 1
        _relief.base, _relief.calls = resident(), 0


def resident() -> int:
    """Bytes of memory that this process has, on Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # musl has none
    except (OSError, AttributeError):
        return None
    return libc
