"""Worker processes that decode the probe data set: their number, and what a crash means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from nd_plugin.errors import NDError, RunFailed
from nd_plugin.machine.forked_workers import can_fork

LARGEST_DEFAULT_ON_CPU = 4  # the forward pass needs the other cores
# beside an accelerator; more decode faster than any takes images
LARGEST_DEFAULT = 32
BATCHES_AHEAD = 2  # that each worker decodes before they are asked for
WORKER_BYTES = 2**26  # what a worker takes beside its batches
CGROUPS = Path("/sys/fs/cgroup")
SHARED_MEMORY = "/dev/shm"  # where batches cross from the workers
MEMORY_INFO = Path("/proc/meminfo")


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


@contextmanager
def crashes_translated() -> Iterator[None]:
    """Translate DataLoader's errors about its worker processes to RunFailed."""
    try:
        yield
    except NDError:
        raise
    except RuntimeError as error:
        message = str(error).strip()
        if (
            "DataLoader worker" not in message
            and "bootstrapping phase" not in message
        ):
            raise
        raise RunFailed(
            f"a data-loading worker crashed ({message.splitlines()[0]}): out of memory, or too "
            "little shared memory (/dev/shm); use fewer workers, or none: workers=0, --workers 0"
        ) from error
