"""Processes that share a dissection: a single one, or those that ``torchrun`` started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

T = TypeVar("T")

# Processes meet after whole passes, and a resumed one may have to catch up.
TIMEOUT = timedelta(days=7)


class SingleProcess:
    """Group of one process."""

    rank = 0
    size = 1

    def total(self, counts: Tensor) -> Tensor:
        """Return the sum of ``counts`` over all processes; integers, so the order is no matter."""
        return counts

    def gather(self, item: T) -> list[T]:
        """Return the items of all processes, in the order of their ranks, in every process."""
        return [item]

    def wait(self) -> None:
        """Wait until all processes have come here."""


class TorchrunGroup(SingleProcess):
    """Group that torchrun started; every method waits for all its processes."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def total(self, counts: Tensor) -> Tensor:
        """Return the sum of ``counts`` over all processes."""
        summed = counts.clone()
        dist.all_reduce(summed, dist.ReduceOp.SUM)
        return summed

    def gather(self, item: T) -> list[T]:
        """Return the items of all processes, in the order of their ranks."""
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.gather(self.rank)


def started_by_torchrun() -> bool:
    """Return whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "LOCAL_RANK" in os.environ


def own_device(requested: str) -> str:
    """Return the device of this process: of several, each has a GPU of its own.

    ``requested`` is a device of torch, or ``auto``.
    """
    uses_cuda = requested == "cuda" or (
        requested == "auto" and torch.cuda.is_available()
    )
    if uses_cuda and started_by_torchrun():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return requested


@contextmanager
def joined() -> Iterator[SingleProcess]:
    """Join the group that torchrun started (gloo on the CPU, NCCL on CUDA), or a group of one."""
    if not started_by_torchrun() or not dist.is_available():
        yield SingleProcess()
        return
    initialized_here = not dist.is_initialized()
    if initialized_here:
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield TorchrunGroup()
    finally:
        if initialized_here:
            dist.destroy_process_group()
