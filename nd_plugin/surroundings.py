"""What the surroundings cost: memory that is returned too soon, threads that wait for each other.

On Linux, large buffers that are freed and allocated again cost more than the computation.
glibc gives every block above a threshold its own pages and returns them when it is freed; a network's activations are
then cleared by the kernel, page by page, in every forward pass (benchmarks/README.md has the figures).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
def one_thread() -> Iterator[None]:
    """Many short operations, beside processes that decode: threads would only wait for a processor."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # musl has none
    except (OSError, AttributeError):
        return None
    return libc
