"""What the surroundings cost: memory that is returned too soon, threads that wait for each other.

On Linux, large buffers that are freed and allocated again cost more than the computation.
glibc gives every block above a threshold its own pages and returns them when it is freed; a network's activations are
then cleared by the kernel, page by page, in every forward pass (benchmarks/README.md has the figures).
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
RAISED = 2**30
PAGE = mmap.PAGESIZE
SELDOM = 8  # batches
HELD = 2**30  # bytes of the process beyond those after the last return, at which memory is returned again
LARGEST_ADAPTED = 2**25  # what glibc's own adaptation ends with; trimming at twice as much


@contextmanager
def steady() -> Iterator[None]:
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


def relieve() -> None:
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


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for an operation, one at least: more than there are processors would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(count, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> AbstractContextManager[None]:
    """Many short operations, beside processes that decode: threads would only wait for a processor."""
    return threads(1)


@contextmanager
def side_by_side() -> Iterator[Callable[[Iterable[Callable[[], None]]], None]]:
    """Many short operations: threads are of use between independent jobs, and not inside each operation.

    Gives a function that does some jobs and returns when all are done, with the exception of the first that failed.
    """
    count, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def within(job: Callable[[], None]) -> None:
        with torch.inference_mode(inference):  # which each thread has of its own
            job()

    with one_thread(), ThreadPoolExecutor(count, "nd_plugin") as pool:

        def do(jobs: Iterable[Callable[[], None]]) -> None:
            for done in [pool.submit(within, job) for job in jobs]:
                done.result()

        yield do


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # musl has none
    except (OSError, AttributeError):
        return None
    return libc
