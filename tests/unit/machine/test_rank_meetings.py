"""Meetings of processes: who is missing, and why."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from torch import distributed as dist

from nd_plugin import BadInput, ProcessLost, RunFailed
from nd_plugin.machine import rank_meetings, termination
from nd_plugin.machine.rank_meetings import Meetings
from nd_plugin.machine.rank_store import TIMEOUT, rank_timeout

pytestmark = pytest.mark.skipif(
    not dist.is_available(), reason="this build of torch has no processes"
)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_meetings, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(rank_meetings, "SECONDS_BETWEEN_SIGNS", 0.0)


def meetings_of(size: int, timeout: float = 600.0) -> list[Meetings]:
    store = dist.HashStore()
    return [Meetings(store, rank, size, timeout) for rank in range(size)]


def in_thread(do: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    return thread


def test_all_have_to_come() -> None:
    first, second, third = meetings_of(3)
    waiting = [in_thread(first.meet), in_thread(third.meet)]
    assert all(thread.is_alive() for thread in waiting)
    second.meet()
    for thread in waiting:
        thread.join()


def test_a_rank_without_progress_is_named() -> None:
    first, second = meetings_of(2, timeout=0.3)
    second.note("masks, 8 of 20 images")
    saved: list[bool] = []
    first.before_end = lambda: saved.append(True)
    message = (
        rf"rank 1 of 2 \(process {os.getpid()} on .*\) has made no progress for 0\.3 s "
        r"\(last: masks, 8 of 20 images\): .* --resume \(ND_RANK_TIMEOUT=SECONDS: wait longer\)"
    )
    with pytest.raises(ProcessLost, match=message):
        first.meet()
    assert saved == [True]


def test_a_rank_that_never_comes_is_named() -> None:
    first, _ = meetings_of(2, timeout=0.1)
    with pytest.raises(
        ProcessLost, match=r"rank 1 of 2 has not started within 0\.1 s"
    ):
        first.meet()


def test_a_slow_rank_with_progress_is_waited_for() -> None:
    first, second = meetings_of(2, timeout=0.5)
    waiting = in_thread(first.meet)
    end = threading.Event()
    for images in range(10):
        second.note(f"masks, {images} of 10 images")
        end.wait(0.1)
    second.meet()
    waiting.join()


@pytest.mark.parametrize("kind", [BadInput, RunFailed])
def test_the_error_of_another_is_raised_with_its_rank(
    kind: type[Exception],
) -> None:
    first, second = meetings_of(2)
    second.publish(kind("no good"))
    with pytest.raises(kind, match=r"^rank 1 of 2: no good$"):
        first.meet()
    with pytest.raises(kind, match=r"^rank 1 of 2: no good$"):
        first.note("masks")
    assert second.failure() is None


def test_the_first_failure_is_told() -> None:
    first, second, third = meetings_of(3)
    third.publish(ValueError("broken"))
    first.publish(BadInput("later"))
    with pytest.raises(ProcessLost, match=r"^rank 2 of 3: broken$"):
        second.meet()


def test_a_process_that_has_ended_is_named() -> None:
    first, second = meetings_of(2)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    second.own = replace(second.own, process=ended.pid)
    second.note("masks")
    with pytest.raises(
        ProcessLost,
        match=rf"rank 1 of 2 \(process {ended.pid} on .*\) has ended without",
    ):
        first.meet()


def test_a_process_of_another_machine_is_not_looked_for() -> None:
    first, second = meetings_of(2, timeout=0.2)
    second.own = replace(second.own, process=2**30, host="elsewhere")
    second.note("masks")
    with pytest.raises(ProcessLost, match="no progress for"):
        first.meet()


def test_a_request_to_end_is_granted_while_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = meetings_of(2)
    second.note("masks")
    monkeypatch.setattr(termination, "is_requested", lambda: True)
    with pytest.raises(termination.Terminated):
        first.meet()
    assert first.loss() is None


def test_a_lost_store_is_an_error_of_ours() -> None:
    (alone,) = meetings_of(1)

    class Lost:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("Connection reset by peer\nException raised from …")

    alone.store = Lost()
    with pytest.raises(
        ProcessLost, match=r"connection .* is lost: .* \(Connection reset by peer\)"
    ):
        alone.meet()


def test_a_failed_operation_says_who_is_lost() -> None:
    first, second = meetings_of(2)
    waiting = in_thread(second.meet)
    with (
        pytest.raises(
            ProcessLost, match=r"another process is lost .*closed by peer"
        ),
        first.communication(),
    ):
        waiting.join()
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1")


@pytest.mark.parametrize(
    ("text", "seconds"), [("", TIMEOUT), ("90", 90), ("0.5", 0.5)]
)
def test_the_timeout_is_an_option(
    text: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ND_RANK_TIMEOUT", text)
    assert rank_timeout() == seconds


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_what_is_no_timeout_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ND_RANK_TIMEOUT", text)
    with pytest.raises(BadInput, match="ND_RANK_TIMEOUT is"):
        rank_timeout()
