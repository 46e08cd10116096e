"""Processes that share a dissection: a single one, or those that ``torchrun`` started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from nd_plugin.errors import Unavailable
from nd_plugin.machine.parent_watch import terminate_with_parent
from nd_plugin.machine.rank_meetings import Meetings
from nd_plugin.machine.rank_store import TIMEOUT, open_store, rank_timeout
from nd_plugin.machine.termination import Terminated

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # stage, images done, images in all

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

    def noting(self, progress: Progress) -> Progress:
        """Return a progress that tells the other processes, too, that this one goes on."""
        return progress

    @contextmanager
    def saving(self, save: Callable[[], None]) -> Iterator[None]:
        """Call ``save`` before the end of another process ends this one."""
        yield


class TorchrunGroup(SingleProcess):
    """Group that torchrun started; every method waits for all its processes.

    ``gpu`` is the device that this process has for itself; None on the CPU, or where it is shared.
    """

    def __init__(
        self, gpu: torch.device | None = None, meetings: Meetings | None = None
    ) -> None:
        self.rank: int = dist.get_rank()
        self.size: int = dist.get_world_size()
        self.gpu = gpu
        self.meetings = meetings

    def total(self, counts: Tensor) -> Tensor:
        """Return the sum of ``counts`` over all processes, on the device of ``counts``.

        Large counts are added up between GPUs, where each process has one.
        """
        with self._communication():
            return self._total(counts)

    def _total(self, counts: Tensor) -> Tensor:
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
        with self._communication():
            dist.all_gather_object(items, item)
        return items

    def _communication(self) -> AbstractContextManager[None]:
        """Meet the other processes, and translate the loss of one."""
        return (
            nullcontext()
            if self.meetings is None
            else self.meetings.communication()
        )

    def noting(self, progress: Progress) -> Progress:
        """Return a progress that tells the other processes, too, that this one goes on."""
        meetings = self.meetings
        if meetings is None:
            return progress

        def note(stage: str, done: int, total: int) -> None:
            meetings.note(f"{stage}, {done} of {total} images")
            progress(stage, done, total)

        return note

    @contextmanager
    def saving(self, save: Callable[[], None]) -> Iterator[None]:
        """Call ``save`` before the end of another process ends this one."""
        if self.meetings is None:
            yield
            return
        self.meetings.before_end = save
        try:
            yield
        finally:
            self.meetings.before_end = lambda: None

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
    if dist.is_initialized():
        yield _group(gpu, None)
        return
    meetings = _open_meetings()
    with _failures_shared(meetings):
        _initialise(gpu, meetings)
        try:
            yield _group(gpu, meetings)
        finally:
            dist.destroy_process_group()


def _group(gpu: torch.device | None, meetings: Meetings | None) -> TorchrunGroup:
    has_nccl = "nccl" in dist.get_backend_config()
    return TorchrunGroup(gpu if has_nccl else None, meetings)


def _open_meetings() -> Meetings | None:
    """Open the meetings of this process; None where no store is known."""
    if "MASTER_ADDR" not in os.environ:
        return None
    if "TORCHELASTIC_RUN_ID" in os.environ:
        terminate_with_parent()
    timeout = rank_timeout()
    return Meetings(*open_store(timeout), timeout)


@contextmanager
def _failures_shared(meetings: Meetings | None) -> Iterator[None]:
    """Tell the other processes what ends this one; say what has ended another first.

    torchrun terminates all processes when one of them has failed.
    """
    if meetings is None:
        yield
        return
    try:
        yield
        meetings.leave()
    except (Terminated, KeyboardInterrupt) as end:
        loss = meetings.loss()
        meetings.publish(loss or end)
        if loss is None:
            raise
        raise loss from end
    except Exception as error:
        meetings.publish(error)
        raise


def _initialise(gpu: torch.device | None, meetings: Meetings | None) -> None:
    """Start the group; NCCL only where no two processes share a GPU, which it refuses."""
    backend = "gloo"
    if gpu is not None and dist.is_nccl_available():
        # what names no GPU, such as code of a model, means this one
        torch.cuda.set_device(gpu)
        backend = "cpu:gloo,cuda:nccl"
    if meetings is None:
        dist.init_process_group(backend, timeout=timedelta(seconds=TIMEOUT))
        return
    # all are there; what is late after this has stopped
    meetings.meet()
    dist.init_process_group(
        backend,
        timeout=timedelta(seconds=meetings.timeout),
        store=meetings.store,
        rank=meetings.rank,
        world_size=meetings.size,
    )
