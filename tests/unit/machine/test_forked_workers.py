"""Forked workers: their results in order, and none of them left, whatever happens."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from owned_garbage import collect_in_workers, garbage_of_this_process

from nd_plugin import BadInput
from nd_plugin.errors import RunFailed
from nd_plugin.machine.forked_workers import can_fork, map_in_order

pytestmark = [
    pytest.mark.skipif(not can_fork(), reason="processes are not forked here"),
    pytest.mark.filterwarnings(
        "ignore:.*multi-threaded, use of fork:DeprecationWarning"
    ),
]


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    earlier_children = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= earlier_children


class UnpicklableError(Exception):
    """An error that cannot be pickled and read again."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def at(special: int, do: Callable[[], Any]) -> Callable[[int], int]:
    """Numbers as they are; something else is done at a special one."""
    return lambda number: do() if number == special else number


def raising(error: Exception) -> Callable[[], None]:
    def do() -> None:
        raise error

    return do


def test_garbage_of_the_first_process_ends_there(tmp_path: Path) -> None:
    """A session of ONNX Runtime would wait for ever for threads that a fork has not."""
    first_process = os.getpid()

    def do(number: int) -> int:
        collect_in_workers(first_process)
        return number

    with garbage_of_this_process(tmp_path / "ended.txt"):
        assert list(map_in_order(do, range(4), 1)) == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_results_come_in_order_from_as_many_processes_as_there_are(
    workers: int, count: int
) -> None:
    tensors = [torch.arange(3) + number for number in range(count)]

    def do(number: int) -> tuple[int, int, int]:
        return number, int(tensors[number].sum()), os.getpid()

    results = list(map_in_order(do, range(count), workers))
    expected = [(number, 3 + 3 * number) for number in range(count)]
    assert [(number, total) for number, total, _ in results] == expected
    assert len({process for *_, process in results}) == min(workers + 1, count)
    assert not count or results[0][2] == os.getpid()


def test_a_worker_computes_with_one_thread() -> None:
    thread_count = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert list(
            map_in_order(lambda number: torch.get_num_threads(), range(3), 2)
        ) == [3, 1, 1]
    finally:
        torch.set_num_threads(thread_count)


@pytest.mark.parametrize("failing", [0, 1, 2, 4])
def test_an_error_is_raised_in_its_turn(failing: int) -> None:
    results = map_in_order(at(failing, raising(BadInput("no good"))), range(6), 2)
    assert [next(results) for _ in range(failing)] == list(range(failing))
    with pytest.raises(BadInput, match=r"^no good") as raised:
        next(results)
    assert not failing % 3 or "in _outcome" in raised.value.__notes__[0]


def test_an_error_that_cannot_be_pickled_is_replaced() -> None:
    with pytest.raises(RunFailed, match=r"^UnpicklableError: 1 and 2"):
        list(map_in_order(at(1, raising(UnpicklableError(1, 2))), range(2), 1))


def test_a_worker_that_crashes_is_reported() -> None:
    with pytest.raises(
        RunFailed,
        match=r"crashed \(exit code -9\), most likely out of memory: use fewer workers, or none",
    ):
        list(
            map_in_order(
                at(3, lambda: os.kill(os.getpid(), signal.SIGKILL)), range(6), 1
            )
        )


def test_a_worker_that_cannot_be_started_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fork_now = os.fork
    forks = []

    def fork() -> int:
        forks.append(1)
        if len(forks) > 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return fork_now()

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(
        RunFailed,
        match=r"a worker cannot be started \(Resource temporarily unavailable\): use fewer workers",
    ):
        list(map_in_order(lambda number: number, range(6), 2))


def test_stopping_early_leaves_no_worker() -> None:
    results = map_in_order(lambda number: number, range(100), 3)
    assert [next(results) for _ in range(6)] == list(range(6))
    results.close()  # type: ignore[attr-defined]


def test_ctrl_c_is_for_the_first_process() -> None:
    def press(number: int) -> int:
        os.kill(os.getpid(), signal.SIGINT) if number % 2 else None
        return number

    assert list(map_in_order(press, range(4), 1)) == [0, 1, 2, 3]


DEADLINE = (
    300  # seconds, for a machine under load; waited for only where workers are left
)
SCRIPT = """
import os, sys, time
from nd_plugin.machine.forked_workers import map_in_order

def do(number):
    os.write(1, b"%d\\n" % os.getpid())  # in one call, since three processes write
    time.sleep(0.05)
    return bytes(2**20)

for index, _ in enumerate(map_in_order(do, range(1000), 2)):
    if index == 5:
        os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="needs /proc to see processes"
)
def test_workers_end_with_the_first_process_however_that_ends() -> None:
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert killed.returncode == -signal.SIGKILL and not killed.stderr
    processes = {int(line) for line in killed.stdout.split()}
    assert len(processes) == 3
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline and any(map(is_running, processes)):
        time.sleep(0.05)
    assert not any(map(is_running, processes))


def is_running(process: int) -> bool:
    """Return whether there is such a process that has not ended."""
    try:
        state = (
            Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        )
    except (FileNotFoundError, ProcessLookupError):
        # ended before, or while its state was read
        return False
    return state != "Z"
