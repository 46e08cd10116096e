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

from nd_plugin.errors import Unavailable

T = TypeVar("T")

# Processes meet after whole passes, and a resumed one may have to catch up.
TIMEOUT = timedelta(days=7)
# of counts that are worth the way to a GPU and back
BYTES_FOR_GPUS = 2**20


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
    """Group that torchrun started; every method waits for all its processes.

    ``gpu`` is the device that this process has for itself; None on the CPU, or where it is shared.
    """

    def __init__(self, gpu: torch.device | None = None) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self.gpu = gpu

    def total(self, counts: Tensor) -> Tensor:
        """Return the sum of ``counts`` over all processes, on the device of ``counts``.

        Large counts are added up between GPUs, where each process has one.
        """
        if self.gpu is None or counts.nbytes < BYTES_FOR_GPUS:
            summed = counts.clone()
            dist.all_reduce(summed, dist.ReduceOp.SUM)
            return summed
        # a copy: the tensor may be on that GPU already
        on_gpu = counts.to(self.gpu, copy=True)
        dist.all_reduce(on_gpu, dist.ReduceOp.SUM)
        return on_gpu.to(counts.device)

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


def own_gpu(requested: str) -> torch.device | None:
    """Return the GPU that this process has for itself; None for one process, and on the CPU.

    ``requested`` is a device of torch, or ``auto``; a GPU that is named by its number is shared by
    all processes. Raises Unavailable for more processes than GPUs.
    """
    uses_cuda = requested in ("auto", "cuda") and torch.cuda.is_available()
    if not uses_cuda or not started_by_torchrun():
        return None
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    gpus = torch.cuda.device_count()
    if processes > gpus:
        noun = "GPU" if gpus == 1 else "GPUs"
        raise Unavailable(
            f"torchrun started {processes} processes on this machine, which has {gpus} {noun}: "
            f"start {gpus} (--nproc-per-node {gpus}), or let them share one (--device cuda:0)"
        )
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


def own_device(requested: str) -> str:
    """Return the device of this process: of several, each has a GPU of its own.

    See `own_gpu`.
    """
    gpu = own_gpu(requested)
    return requested if gpu is None else str(gpu)


@contextmanager
def joined(requested: str = "cpu") -> Iterator[SingleProcess]:
    """Join the group that torchrun started, or a group of one.

    Objects and small tensors go by gloo; large counts by NCCL, where each process has a GPU.
    ``requested`` is the device of the run, as in `own_gpu`.
    """
    if not started_by_torchrun() or not dist.is_available():
        yield SingleProcess()
        return
    gpu = own_gpu(requested)
    initialized_here = not dist.is_initialized()
    if initialized_here:
        _initialise(gpu)
    has_nccl = "nccl" in dist.get_backend_config()
    try:
        yield TorchrunGroup(gpu if has_nccl else None)
    finally:
        if initialized_here:
            dist.destroy_process_group()


def _initialise(gpu: torch.device | None) -> None:
    """Start the group; NCCL only where no two processes share a GPU, which it refuses."""
    if gpu is None or not dist.is_nccl_available():
        dist.init_process_group("gloo", timeout=TIMEOUT)
        return
    # what names no GPU, such as code of a model, means this one
    torch.cuda.set_device(gpu)
    dist.init_process_group("cpu:gloo,cuda:nccl", timeout=TIMEOUT)
