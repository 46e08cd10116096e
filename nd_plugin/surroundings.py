"""What the surroundings cost: memory that is returned too soon, threads that wait for each other.

On Linux, large buffers that are freed and allocated again cost more than the computation.
glibc gives every block above a threshold its own pages and returns them when it is freed; a network's activations are
then cleared by the kernel, page by page, in every forward pass (benchmarks/README.md has the figures).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
RAISED = 2**30
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
    try:
        yield
    finally:
        libc.mallopt(MMAP_THRESHOLD, LARGEST_ADAPTED)
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGEST_ADAPTED)
        libc.malloc_trim(0)


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
