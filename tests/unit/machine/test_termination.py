"""SIGTERM: at once, or at the next moment where state can be saved."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

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


@pytest.mark.skipif(not can_fork(), reason="processes are not forked here")
def test_a_forked_process_ends_as_without_the_handler() -> None:
    with termination.handled(), termination.postponed():
        process = multiprocessing.Process(target=time.sleep, args=(600,))
        process.start()
        process.terminate()
        process.join()
        assert process.exitcode == -signal.SIGTERM
        assert not termination.is_requested()


def ignore_and_wait(ready: int) -> None:
    termination.ignore_in_worker()
    os.write(ready, b"1")
    time.sleep(600)


@pytest.mark.skipif(
    not hasattr(signal, "sigwaitinfo") or not can_fork(),
    reason="the sender of a signal is not known here",
)
def test_a_worker_ends_by_its_first_process_only() -> None:
    reader, writer = os.pipe()
    process = multiprocessing.Process(target=ignore_and_wait, args=(writer,))
    process.start()
    os.read(reader, 1)
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
    os.close(reader)
    os.close(writer)
