"""SIGTERM: at once, or at the next moment where state can be saved."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import pytest

from nd_plugin.machine import termination
from nd_plugin.machine.forked_workers import can_fork


def terminate_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_at_once() -> None:
    with pytest.raises(termination.Terminated), termination.handled():
        terminate_this_process()
    assert not termination.is_requested()


def test_postponed_once() -> None:
    earlier = signal.getsignal(signal.SIGTERM)
    with termination.handled(), termination.postponed():
        assert not termination.is_requested()
        terminate_this_process()
        assert termination.is_requested()
        with pytest.raises(termination.Terminated):
            terminate_this_process()
    assert signal.getsignal(signal.SIGTERM) is earlier
    assert not termination.is_requested()


def wait(ready: int, *, as_worker: bool) -> None:
    if as_worker:
        termination.ignore_in_worker()
    os.write(ready, b"1")
    time.sleep(600)


@contextmanager
def waiting_process(*, as_worker: bool) -> Iterator[BaseProcess]:
    """Forked process that has begun to wait: Python forgets signals that come during a fork."""
    reader, writer = os.pipe()
    process = multiprocessing.Process(
        target=wait, args=(writer,), kwargs={"as_worker": as_worker}
    )
    process.start()
    os.read(reader, 1)
    try:
        yield process
    finally:
        process.kill()
        process.join()
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(not can_fork(), reason="processes are not forked here")
def test_a_forked_process_ends_as_without_the_handler() -> None:
    with (
        termination.handled(),
        termination.postponed(),
        waiting_process(as_worker=False) as process,
    ):
        process.terminate()
        process.join()
        assert process.exitcode == -signal.SIGTERM
        assert not termination.is_requested()


@pytest.mark.skipif(
    not hasattr(signal, "sigwaitinfo") or not can_fork(),
    reason="the sender of a signal is not known here",
)
def test_a_worker_ends_by_its_first_process_only() -> None:
    with waiting_process(as_worker=True) as process:
        sender = multiprocessing.Process(
            target=os.kill, args=(process.pid, signal.SIGTERM)
        )
        sender.start()
        sender.join()
        process.join(timeout=0.5)
        assert process.is_alive(), "another process has sent it"
        process.terminate()
        process.join()
        assert process.exitcode == 0


REQUESTS = [signal.Signals(number) for number in termination.REQUESTS]


@pytest.mark.parametrize("number", REQUESTS)
def test_each_signal_has_its_exit_code(number: signal.Signals) -> None:
    with pytest.raises(termination.Terminated) as raised, termination.handled():
        os.kill(os.getpid(), number)
    assert raised.value.exit_code == 128 + number
    assert isinstance(raised.value, KeyboardInterrupt) == (number == signal.SIGINT)


@pytest.mark.skipif(termination.SIGHUP is None, reason="no terminals hang up here")
def test_a_terminal_that_hangs_up_tells_twice() -> None:
    """By itself and by its shell; a scheduler may end the process meanwhile."""
    assert termination.SIGHUP is not None
    with termination.handled(), termination.postponed():
        for number in (termination.SIGHUP, termination.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
        with pytest.raises(termination.Terminated, match="hung up"):
            termination.grant_request()


def test_what_is_ignored_stays_ignored() -> None:
    earlier = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with termination.handled():
            terminate_this_process()
            assert not termination.is_requested()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, earlier)


@pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="the system has no timer here"
)
def test_a_batch_that_takes_too_long_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(termination, "SECONDS_TO_SAVE", 0.1)
    with (
        pytest.raises(termination.Terminated),
        termination.handled(),
        termination.postponed(),
    ):
        terminate_this_process()
        time.sleep(600)


def test_saving_takes_the_time_that_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(termination, "SECONDS_TO_SAVE", 0.05)
    with termination.handled(), termination.postponed():
        with termination.saving():
            terminate_this_process()
            time.sleep(0.3)
            assert termination.is_requested() and not termination.is_due()
        assert termination.is_due()
        with pytest.raises(termination.Terminated):
            time.sleep(600)
