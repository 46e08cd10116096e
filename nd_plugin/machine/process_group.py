"""The processes that share a dissection: one alone, or those that ``torchrun`` started."""

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


PATIENCE = timedelta(
    days=7
)  # processes meet after whole passes, and one may have to go on from further behind


class SingleProcess:
    """The only process."""

    rank = 0
    size = 1

    def total(self, counts: Tensor) -> Tensor:
        """The sum of ``counts`` over all processes; integers, so that the order does not matter."""
        return counts

    def gather(self, item: T) -> list[T]:
        """Everybody's item, in the order of the ranks, for everybody."""
        return [item]

    def wait(self) -> None:
        """Until everybody has come here."""


class TorchrunGroup(SingleProcess):
    """One process of a group; every method waits for all of them."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def total(self, counts: Tensor) -> Tensor:
        """The sum of ``counts`` over all processes."""
        summed = counts.clone()
        dist.all_reduce(summed, dist.ReduceOp.SUM)
        return summed

    def gather(self, item: T) -> list[T]:
        """Everybody's item."""
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def wait(self) -> None:
        """Until everybody has come here."""
        self.gather(self.rank)


def started_by_torchrun() -> bool:
    """Whether this process is one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "LOCAL_RANK" in os.environ


def own_device(wanted: str) -> str:
    """``cuda`` means the GPU of this process."""
    several = started_by_torchrun() and (
        wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available())
    )
    return f"cuda:{os.environ['LOCAL_RANK']}" if several else wanted


@contextmanager
def joined() -> Iterator[SingleProcess]:
    """The group that torchrun started this process in (gloo on the CPU, NCCL on CUDA), or the process alone."""
    if not started_by_torchrun() or not dist.is_available():
        yield SingleProcess()
        return
    mine = not dist.is_initialized()
    if mine:
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield TorchrunGroup()
    finally:
        if mine:
            dist.destroy_process_group()
