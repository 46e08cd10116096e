"""Groups of processes: a single one, and several that torchrun would start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
import torch

from nd_plugin.machine.process_group import (
    SingleProcess,
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


@pytest.mark.parametrize("has_cuda", [False, True])
def test_each_process_of_several_has_its_own_gpu(
    has_cuda: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    devices = ["cpu", "cuda", "cuda:3", "auto"]
    assert [own_device(device) for device in devices] == devices
    start_with_torchrun(monkeypatch, 2)
    auto = "cuda:1" if has_cuda else "auto"
    assert [own_device(device) for device in devices] == [
        "cpu",
        "cuda:1",
        "cuda:3",
        auto,
    ]


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
