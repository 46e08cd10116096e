"""Worker processes: how many by default, and what they may use."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from noise_set import Noise, feed
from owned_garbage import collect_in_workers, garbage_of_this_process
from PIL import Image

from nd_plugin import Preprocess, RunFailed, Settings
from nd_plugin.machine.forked_workers import can_fork
from nd_plugin.probe_data import workers
from nd_plugin.probe_data.batches import Feed, batch_bytes

CPU = torch.device("cpu")
CUDA = torch.device("cuda")
MIB = 2**20


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Machine of 16 processors and much memory, where processes are forked."""
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "fork")
    set_machine(monkeypatch, tmp_path)
    return monkeypatch


def set_machine(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *,
    processors: int = 16,
    available: str = "MemAvailable: 134217728 kB",
    shared: int = 2**36,
) -> None:
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: range(processors), raising=False
    )
    memory_info = folder / "meminfo"
    memory_info.write_text(f"MemTotal: 1 kB\n{available}\n")
    monkeypatch.setattr(workers, "MEMORY_INFO", memory_info)
    monkeypatch.setattr(workers, "CGROUPS", folder / "cgroup")
    monkeypatch.setattr(workers, "_free_shared_memory", lambda: shared)


@pytest.mark.parametrize(
    ("device", "processors", "processes", "expected"),
    [
        (CPU, 16, "1", 4),
        (CPU, 3, "1", 2),
        (CPU, 1, "1", 0),
        (CPU, 16, "8", 1),
        (CUDA, 16, "1", 15),
        (CUDA, 16, "2", 7),
        (CUDA, 16, "16", 0),
        (CUDA, 16, "32", 0),
        (CUDA, 2, "1", 1),
        (CUDA, 1, "1", 0),
        (CUDA, 224, "1", 32),
        (CUDA, 224, "8", 27),
        (torch.device("mps"), 8, "1", 7),
    ],
)
def test_workers_by_device_and_cores(
    machine: pytest.MonkeyPatch,
    tmp_path: Path,
    device: torch.device,
    processors: int,
    processes: str,
    expected: int,
) -> None:
    set_machine(machine, tmp_path, processors=processors)
    machine.setenv("LOCAL_WORLD_SIZE", processes)
    assert workers.default_workers(device, MIB) == expected


@pytest.mark.parametrize(
    ("batch_bytes", "available", "shared", "expected"),
    [
        # a container's 64 MiB: of a batch of 8 MiB two fit twice into half of them
        (8 * MIB, "MemAvailable: 134217728 kB", 64 * MIB, 2),
        (64 * MIB, "MemAvailable: 134217728 kB", 64 * MIB, 1),
        # of 2 GiB a quarter: five workers of 64 MiB with two batches of 16 MiB
        (16 * MIB, "MemAvailable: 2097152 kB", 2**36, 5),
        (16 * MIB, "MemAvailable: 1024 kB", 2**36, 1),
        (16 * MIB, "MemFree: 1024 kB", 2**36, 15),
        (16 * MIB, "MemAvailable: much", 2**36, 15),
    ],
)
def test_batches_of_the_workers_fit_into_memory(
    machine: pytest.MonkeyPatch,
    tmp_path: Path,
    batch_bytes: int,
    available: str,
    shared: int,
    expected: int,
) -> None:
    set_machine(machine, tmp_path, available=available, shared=shared)
    assert workers.default_workers(CUDA, batch_bytes) == expected
    assert workers.default_workers(CPU, batch_bytes) == 4


def test_memory_that_is_not_known_limits_nothing(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine.setattr(workers, "MEMORY_INFO", tmp_path / "nothing")
    machine.setattr(workers, "_free_shared_memory", lambda: None)
    assert workers.default_workers(CUDA, 2**40) == 15


def test_shared_memory_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workers, "SHARED_MEMORY", str(tmp_path))
    status = os.statvfs(tmp_path)
    free = workers._free_shared_memory()
    assert free is not None and 0 < free <= status.f_frsize * status.f_blocks
    monkeypatch.setattr(workers, "SHARED_MEMORY", str(tmp_path / "nothing"))
    assert workers._free_shared_memory() is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 16),
        ({"cpu.max": "max 100000\n"}, 16),
        ({"cpu.max": "400000 100000\n"}, 4),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "9900000 100000\n"}, 16),
        ({"cpu.max": "nonsense"}, 16),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "0"}, 16),
    ],
)
def test_processors_of_a_container(
    machine: pytest.MonkeyPatch,
    tmp_path: Path,
    files: dict[str, str],
    expected: int,
) -> None:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert workers.cores() == expected


def test_no_workers_where_processes_are_not_forked(
    machine: pytest.MonkeyPatch,
) -> None:
    machine.setattr(multiprocessing, "get_start_method", lambda: "spawn")
    assert workers.default_workers(CUDA, MIB) == 0
    assert workers.default_workers(CPU, MIB) == 0


@pytest.mark.parametrize(
    ("device", "batch_size", "workers_given", "expected"),
    [
        (CPU, None, None, 4),
        (CUDA, None, None, 15),
        (CUDA, None, 3, 3),
        (CUDA, None, 0, 0),
        # 1.9 GiB a batch, of which eight fit into 16 GiB
        (CUDA, 10240, None, 4),
    ],
)
def test_a_feed_has_the_workers_of_its_device(
    machine: pytest.MonkeyPatch,
    tmp_path: Path,
    device: torch.device,
    batch_size: int | None,
    workers_given: int | None,
    expected: int,
) -> None:
    set_machine(machine, tmp_path, shared=2**35)
    whole = Feed.of(
        Noise(),  # type: ignore[arg-type]
        Preprocess(),
        Settings(),
        device,
        batch_size,
        workers_given,
    )
    assert whole.workers == expected


def test_bytes_of_a_batch() -> None:
    colour = Preprocess(size=(8, 10))
    grey = Preprocess(size=(8, 10), mean=(0.5,), std=(0.5,))
    assert batch_bytes(colour, 3) == 3 * 8 * 10 * 4
    assert batch_bytes(grey, 3) == 3 * 8 * 10 * 2


class Observed(Noise):
    """Images whose one value says how many threads torch uses where they are decoded."""

    def image(self, index: int) -> Image.Image:
        initialised = torch.cuda.is_initialized()
        value = 255 if initialised else torch.get_num_threads()
        return Image.fromarray(np.full((9, 11, 3), value, np.uint8))


def test_a_worker_has_one_thread_and_leaves_cuda_alone() -> None:
    earlier = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for batch in feed(Observed(), workers=1).batches(annotated=True):
            assert batch.pixels.unique().tolist() == [1]
    finally:
        torch.set_num_threads(earlier)


class Collecting(Noise):
    """Images whose decoding collects garbage."""

    first_process = os.getpid()

    def image(self, index: int) -> Image.Image:
        collect_in_workers(self.first_process)
        return super().image(index)


@pytest.mark.skipif(not can_fork(), reason="processes are not forked here")
def test_garbage_of_the_first_process_ends_there(tmp_path: Path) -> None:
    concepts = Collecting()
    with garbage_of_this_process(tmp_path / "ended.txt"):
        batches = list(feed(concepts, workers=2).batches(annotated=False))
    assert sum(len(batch.indices) for batch in batches) == 7


class Signalled(Noise):
    """Images whose decoding gets the signals of a terminal."""

    def image(self, index: int) -> Image.Image:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
        return super().image(index)


@pytest.mark.skipif(not can_fork(), reason="signals are those of POSIX")
def test_the_signals_of_a_terminal_are_for_the_first_process() -> None:
    batches = list(feed(Signalled(), workers=2).batches(annotated=False))
    assert sum(len(batch.indices) for batch in batches) == 7


def test_a_library_leaves_signals_to_its_user() -> None:
    numbers = [signal.SIGINT, signal.SIGTERM]
    earlier = [signal.getsignal(number) for number in numbers]
    for _ in feed(Noise(), workers=1).batches(annotated=True):
        assert [signal.getsignal(number) for number in numbers] == earlier


def test_a_failure_of_a_worker_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no memory for a batch")

    monkeypatch.setattr("nd_plugin.probe_data.batch.PackedBatch.of", fail)
    message = r"data-loading workers failed \(MemoryError: no memory for a batch\); use fewer"
    with pytest.raises(RunFailed, match=message):
        list(feed(Noise(), workers=1).batches(annotated=False))
