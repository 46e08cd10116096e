"""Groups of processes: a single one, and several that torchrun would start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
import torch

from nd_plugin.errors import Unavailable
from nd_plugin.machine.process_group import (
    BYTES_FOR_GPUS,
    SingleProcess,
    TorchrunGroup,
    joined,
    own_device,
    started_by_torchrun,
)


@pytest.fixture(autouse=True)
def without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment as if torchrun had not started the tests."""
    for name in ("WORLD_SIZE", "LOCAL_RANK", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def start_with_torchrun(monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(world_size))
    monkeypatch.setenv("LOCAL_RANK", "1")


def test_a_single_process_is_a_group() -> None:
    counts = torch.tensor([3, 4])
    with joined() as group:
        assert type(group) is SingleProcess
        assert (group.rank, group.size) == (0, 1)
        assert group.total(counts).equal(counts) and group.gather("item") == [
            "item"
        ]
        group.wait()


@pytest.mark.parametrize(
    ("world_size", "several"), [(1, False), (2, True), (8, True)]
)
def test_torchrun_is_recognised(
    world_size: int, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not started_by_torchrun()
    start_with_torchrun(monkeypatch, world_size)
    assert started_by_torchrun() == several


def test_other_launchers_are_not_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not started_by_torchrun()


def machine_with(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)


@pytest.mark.parametrize("gpus", [0, 2, 8])
def test_each_process_of_several_has_its_own_gpu(
    gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(gpus, monkeypatch)
    devices = ["cpu", "cuda", "cuda:3", "auto"]
    assert [own_device(device) for device in devices] == devices
    start_with_torchrun(monkeypatch, 2)
    own = ["cpu", "cuda:1", "cuda:3", "cuda:1"] if gpus else devices
    assert [own_device(device) for device in devices] == own


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_more_processes_than_gpus_are_refused_with_the_remedy(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(2, monkeypatch)
    start_with_torchrun(monkeypatch, 16)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    message = (
        r"torchrun started 4 processes on this machine, which has 2 GPUs: start 2 "
        r"\(--nproc-per-node 2\), or let them share one \(--device cuda:0\)"
    )
    with pytest.raises(Unavailable, match=message):
        own_device(device)
    assert own_device("cuda:0") == "cuda:0"
    assert own_device("cpu") == "cpu"
    # several machines with two GPUs each
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert own_device(device) == "cuda:1"


class RecordedGroup:
    """Stand-in for torch.distributed: two processes of which the other counts the same."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.backends: list[str] = []
        self.gpus: list[torch.device] = []
        self.reduced: list[torch.device] = []
        dist = torch.distributed
        monkeypatch.setattr(dist, "is_available", lambda: True)
        monkeypatch.setattr(dist, "is_initialized", lambda: False)
        monkeypatch.setattr(dist, "is_nccl_available", lambda: True)
        monkeypatch.setattr(dist, "init_process_group", self.start)
        monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
        monkeypatch.setattr(dist, "get_backend_config", lambda: self.backends[-1])
        monkeypatch.setattr(dist, "get_rank", lambda: 1)
        monkeypatch.setattr(dist, "get_world_size", lambda: 2)
        monkeypatch.setattr(dist, "all_reduce", self.add)
        monkeypatch.setattr(torch.cuda, "set_device", self.gpus.append)

    def start(self, backend: str, *, timeout: object) -> None:
        self.backends.append(backend)

    def add(self, tensor: torch.Tensor, operation: object) -> None:
        self.reduced.append(tensor.device)
        tensor *= 2


@pytest.mark.parametrize(
    ("requested", "gpus", "backend"),
    [
        ("auto", 2, "cpu:gloo,cuda:nccl"),
        ("cuda", 2, "cpu:gloo,cuda:nccl"),
        ("cpu", 2, "gloo"),
        # shared by all processes, which NCCL refuses
        ("cuda:0", 2, "gloo"),
        ("auto", 0, "gloo"),
    ],
)
def test_nccl_joins_processes_that_have_a_gpu_each(
    requested: str, gpus: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(gpus, monkeypatch)
    start_with_torchrun(monkeypatch, 2)
    recorded = RecordedGroup(monkeypatch)
    with joined(requested) as group:
        assert isinstance(group, TorchrunGroup)
        has_own_gpu = "nccl" in backend
        assert group.gpu == (torch.device("cuda:1") if has_own_gpu else None)
    assert recorded.backends == [backend]
    assert recorded.gpus == ([torch.device("cuda:1")] if has_own_gpu else [])


def test_large_counts_are_added_up_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = RecordedGroup(monkeypatch)
    # in place of a GPU: a device that is told from the CPU, and computes nothing
    group = TorchrunGroup(torch.device("meta"))
    small = torch.tensor([3, 2**53 + 1])
    assert group.total(small).tolist() == [6, 2**54 + 2]
    large = torch.ones(BYTES_FOR_GPUS // 8, dtype=torch.int64, device="meta")
    total = group.total(large)
    assert total.device == large.device and total.dtype == torch.int64
    assert total is not large
    assert recorded.reduced == [torch.device("cpu"), torch.device("meta")]


def test_large_counts_on_a_cpu_stay_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    RecordedGroup(monkeypatch)
    counts = torch.arange(BYTES_FOR_GPUS // 8)
    total = TorchrunGroup(torch.device("cpu")).total(counts)
    assert total.equal(2 * torch.arange(BYTES_FOR_GPUS // 8))
    assert counts.equal(torch.arange(BYTES_FOR_GPUS // 8))


SCRIPT = """
import torch
from torch import distributed
from nd_plugin.machine.process_group import TorchrunGroup, joined

with joined() as group:
    assert isinstance(group, TorchrunGroup) and group.size == 2
    counts = torch.tensor([group.rank, 2**53 + 1])
    assert group.total(counts).tolist() == [1, 2**54 + 2]
    assert counts.tolist() == [group.rank, 2**53 + 1]
    assert group.gather({"rank": group.rank}) == [{"rank": 0}, {"rank": 1}]
    group.wait()
    with joined() as same:
        assert isinstance(same, TorchrunGroup) and same.rank == group.rank
    assert distributed.is_initialized()
assert not distributed.is_initialized()
"""


@pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch without distributed"
)
def test_two_processes_add_and_gather() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SCRIPT],
            env={**os.environ, **address, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    try:
        errors = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], errors
