"""Copies of this process: what they give, in which order, and that none of them is left, whatever happens."""

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

from nd_plugin import BadInput
from nd_plugin.errors import RunFailed
from nd_plugin.machine.forked_workers import can_fork, map_in_order

pytestmark = [
    pytest.mark.skipif(not can_fork(), reason="processes do not begin as copies here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before


class Odd(Exception):
    """An error that cannot be pickled and read again."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def at(place: int, do: Callable[[], Any]) -> Callable[[int], int]:
    """Numbers as they are; something else is done at one of them."""
    return lambda number: do() if number == place else number


def raising(error: Exception) -> Callable[[], None]:
    def do() -> None:
        raise error

    return do


@pytest.mark.parametrize("copies", [0, 1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_all_is_done_in_order_by_as_many_as_there_are(copies: int, count: int) -> None:
    held = [torch.arange(3) + number for number in range(count)]
    found = list(
        map_in_order(
            lambda number: (number, held[number].sum().item(), os.getpid()), range(count), copies
        )
    )
    assert [(number, total) for number, total, _ in found] == [
        (number, 3 + 3 * number) for number in range(count)
    ]
    assert len({process for *_, process in found}) == min(copies + 1, count)
    assert not count or found[0][2] == os.getpid()


def test_a_copy_computes_with_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert list(map_in_order(lambda number: torch.get_num_threads(), range(3), 2)) == [3, 1, 1]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("place", [0, 1, 2, 4])
def test_an_error_is_raised_in_its_turn(place: int) -> None:
    results = map_in_order(at(place, raising(BadInput("no good"))), range(6), 2)
    assert [next(results) for _ in range(place)] == list(range(place))
    with pytest.raises(BadInput, match=r"^no good") as raised:
        next(results)
    assert not place % 3 or "in _outcome" in raised.value.__notes__[0]


def test_an_error_that_does_not_arrive_is_told() -> None:
    with pytest.raises(RunFailed, match=r"^Odd: 1 and 2"):
        list(map_in_order(at(1, raising(Odd(1, 2))), range(2), 1))


def test_a_copy_that_dies_is_told() -> None:
    with pytest.raises(
        RunFailed,
        match=r"died \(exit code -9\), most likely out of memory: use fewer workers, or none",
    ):
        list(map_in_order(at(3, lambda: os.kill(os.getpid(), signal.SIGKILL)), range(6), 1))


def test_no_room_for_a_copy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def fork() -> int:
        begun.append(1)
        if len(begun) > 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    real = os.fork
    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(
        RunFailed,
        match=r"no process can be begun beside this one \(Resource temporarily unavailable\)",
    ):
        list(map_in_order(lambda number: number, range(6), 2))


def test_stopping_early_leaves_no_copy() -> None:
    results = map_in_order(lambda number: number, range(100), 3)
    assert [next(results) for _ in range(6)] == list(range(6))
    results.close()  # type: ignore[attr-defined]


def test_ctrl_c_is_for_the_first_process() -> None:
    def press(number: int) -> int:
        os.kill(os.getpid(), signal.SIGINT) if number % 2 else None
        return number

    assert list(map_in_order(press, range(4), 1)) == [0, 1, 2, 3]


SCRIPT = """
import os, sys, time
from nd_plugin.machine.forked_workers import map_in_order

def do(number):
    os.write(1, b"%d\\n" % os.getpid())  # at once: three write here
    time.sleep(0.05)
    return bytes(2**20)

for place, _ in enumerate(map_in_order(do, range(1000), 2)):
    if place == 5:
        os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see processes")
def test_copies_end_with_the_first_process_however_that_ends() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == -signal.SIGKILL and not ended.stderr
    processes = {int(line) for line in ended.stdout.split()}
    assert len(processes) == 3
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(map(runs, processes)):
        time.sleep(0.05)
    assert not any(map(runs, processes))


def runs(process: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
