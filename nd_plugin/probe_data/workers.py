"""Worker processes that decode the probe data set: their number, and what a crash means."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info
from torch.utils.data._utils import signal_handling

from nd_plugin.errors import NDError, ProcessLost, RunFailed
from nd_plugin.machine.forked_workers import can_fork, starting_workers
from nd_plugin.machine.worker_exits import REMEDY, describe_crash
from nd_plugin.probe_data.batch import PackedBatch
from nd_plugin.probe_data.items import Item, ItemDecoder

LARGEST_DEFAULT_ON_CPU = 4  # the forward pass needs the other cores
# beside an accelerator; more decode faster than any takes images
LARGEST_DEFAULT = 32
BATCHES_AHEAD = 2  # that each worker decodes before they are asked for
WORKER_BYTES = 2**26  # what a worker takes beside its batches
CGROUPS = Path("/sys/fs/cgroup")
SHARED_MEMORY = "/dev/shm"  # where batches cross from the workers
MEMORY_INFO = Path("/proc/meminfo")
NO_IMAGE = -1
# torch has no public way to choose where a crash is raised
SIGNALS: Any = signal_handling


def cores() -> int:
    """Return how many processors this process may use, those of a container's quota at most."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _container_quota()
    return count if quota is None else max(min(count, int(quota)), 1)


def _container_quota() -> float | None:
    """Return the processors that Linux' control groups allow; None: no limit is known."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        limit, period = (CGROUPS / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        microseconds = int((CGROUPS / "cpu/cpu.cfs_quota_us").read_text())
        period_microseconds = int((CGROUPS / "cpu/cpu.cfs_period_us").read_text())
        return microseconds / period_microseconds if microseconds > 0 else None
    return None


def default_workers(device: torch.device, batch_bytes: int) -> int:
    """Return how many worker processes decode for a model on ``device``.

    One fewer than there are cores: at most four beside a model on the CPU, whose forward pass needs
    cores too, and else at most 32, and no more than whose batches of ``batch_bytes`` fit into half
    of the shared memory and a quarter of the memory that is free. Processes that torchrun started
    share all of these. Without fork there are no workers: they would run the caller's script again,
    and fail if it has no main guard.
    """
    if not can_fork():
        return 0
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    spare_cores = max(cores() // processes - 1, 0)
    if device.type == "cpu":
        return min(spare_cores, LARGEST_DEFAULT_ON_CPU)
    limits = [limit // processes for limit in _limits_of_memory(batch_bytes)]
    # one worker takes no more than this process would
    within_memory = max(min(limits, default=LARGEST_DEFAULT), 1)
    return min(spare_cores, LARGEST_DEFAULT, within_memory)


def _limits_of_memory(batch_bytes: int) -> list[int]:
    """Return how many workers fit into each kind of memory whose size is known."""
    limits = []
    bytes_ahead = BATCHES_AHEAD * batch_bytes
    shared_memory = _free_shared_memory()
    if shared_memory is not None:
        limits.append(shared_memory // 2 // bytes_ahead)
    memory = _available_memory()
    if memory is not None:
        limits.append(memory // 4 // (WORKER_BYTES + bytes_ahead))
    return limits


def _free_shared_memory() -> int | None:
    """Return the bytes that are free where batches cross; None where that is no folder."""
    try:
        status = os.statvfs(SHARED_MEMORY)
    except (AttributeError, OSError):
        return None
    return status.f_bavail * status.f_frsize


def _available_memory() -> int | None:
    """Return the bytes of memory that Linux calls available; None where it does not say."""
    with suppress(OSError, ValueError, IndexError):
        for line in MEMORY_INFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


class ImagesAtWork:
    """Images that worker processes decode just now, in memory shared with those forked later."""

    def __init__(self, workers: int) -> None:
        memory = mmap.mmap(-1, workers * np.dtype(np.int64).itemsize)
        self._images = np.frombuffer(memory, np.int64)
        self._images[:] = NO_IMAGE

    def note(self, image: int) -> None:
        """Take note of the image that this worker begins to decode, or `NO_IMAGE`."""
        worker = get_worker_info()
        if worker is not None:
            self._images[worker.id] = image

    def of(self, worker: int) -> int:
        """Return the image of a worker, or `NO_IMAGE`."""
        return int(self._images[worker])


@dataclass(frozen=True)
class WatchedDecoder(Dataset[Item]):
    """Decoder whose workers say which image they are at, in case it ends them."""

    decoder: ItemDecoder
    images: ImagesAtWork

    def __getitem__(self, position: tuple[int, int]) -> Item:
        """Decode an item."""
        self.images.note(position[1])
        item = self.decoder[position]
        self.images.note(NO_IMAGE)
        return item


class LoadedBatches:
    """Batches of a DataLoader, whose crashed workers are noticed where a batch is waited for.

    DataLoader notices them in a handler of SIGCHLD, which raises an exception wherever the main
    thread is at that moment: in a model, which may swallow it, or in the middle of a file. Here the
    handler knows the workers only while a batch is waited for; a worker that has died before is
    looked for then. Worker processes start at once. Raises ProcessLost for a crash and RunFailed
    for other failures of workers.
    """

    def __init__(
        self,
        loader: DataLoader[Item],
        images: ImagesAtWork | None,
        name: Callable[[int], str],
    ) -> None:
        self._images = images
        self._name = name  # of an image
        self._processes: Sequence[BaseProcess] = ()
        with self._failures_translated(), starting_workers():
            # of a private class of torch
            self._iterator: Any = iter(loader)
        self._processes = tuple(getattr(self._iterator, "_workers", ()))
        self._hide_workers()

    def __iter__(self) -> Iterator[PackedBatch]:
        """Iterate over the batches that are left."""
        return self

    def __next__(self) -> PackedBatch:
        """Return the next batch."""
        self._check_workers()
        with self._failures_translated(), self._workers_shown():
            batch: PackedBatch = next(self._iterator)
        return batch

    def close(self) -> None:
        """End the workers. Those of a loader with a crashed one are killed: others may hang."""
        if self._crashed() is not None:
            self._abandon()
        self._iterator = None

    @contextmanager
    def _workers_shown(self) -> Iterator[None]:
        """Let DataLoader's handler, which runs in the main thread, know the workers."""
        is_main_thread = threading.current_thread() is threading.main_thread()
        if not self._processes or not is_main_thread:
            yield
            return
        processes = [process.pid for process in self._processes]
        SIGNALS._set_worker_pids(id(self._iterator), tuple(processes))
        self._iterator._worker_pids_set = True
        try:
            yield
        finally:
            self._hide_workers()

    def _hide_workers(self) -> None:
        if getattr(self._iterator, "_worker_pids_set", False):
            SIGNALS._remove_worker_pids(id(self._iterator))
            self._iterator._worker_pids_set = False

    @contextmanager
    def _failures_translated(self) -> Iterator[None]:
        """Translate the exceptions of DataLoader and of its workers to RunFailed."""
        try:
            yield
        except (NDError, StopIteration):
            raise
        except Exception as error:
            self._check_workers(error)
            message = str(error).strip()
            if not self._processes and "bootstrapping phase" not in message:
                raise
            reason = message.splitlines()[-1] if message else "no reason is known"
            raise RunFailed(
                f"the data-loading workers failed ({reason}); {REMEDY}"
            ) from error

    def _check_workers(self, error: Exception | None = None) -> None:
        """Raise ProcessLost if a worker has crashed."""
        worker = self._crashed()
        if worker is None:
            return
        exit_code = self._processes[worker].exitcode
        work = self._work_of(worker)
        self._abandon()
        raise ProcessLost(
            describe_crash("a data-loading worker", exit_code, work)
        ) from error

    def _crashed(self) -> int | None:
        """Return the first worker that has ended; none does before DataLoader ends them."""
        for worker, process in enumerate(self._processes):
            if process.exitcode is not None:
                return worker
        return None

    def _work_of(self, worker: int) -> str:
        image = NO_IMAGE if self._images is None else self._images.of(worker)
        return "" if image == NO_IMAGE else f"image {self._name(image)}"

    def _abandon(self) -> None:
        """Kill all workers, and keep DataLoader from waiting for what a dead one holds."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        self._iterator._shutdown = True
        self._processes = ()
