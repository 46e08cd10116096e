"""SIGTERM: a request to end, granted at once or, while state can be saved, at the next batch."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nd_plugin.foreign_code import Signal

EXIT_CODE = 128 + signal.SIGTERM


class Terminated(Signal):
    """End of this process as SIGTERM asks for; like KeyboardInterrupt, no error to recover from."""

    exit_code = EXIT_CODE

    def __init__(self) -> None:
        super().__init__("terminated")


class _Request:
    """Request to end this process: whether it was made, and whether it waits."""

    made = False
    postponed = 0  # `postponed` contexts around the code that runs


def is_requested() -> bool:
    """Return whether SIGTERM has asked this process to end."""
    return _Request.made


@contextmanager
def handled() -> Iterator[None]:
    """Raise Terminated on SIGTERM, in the main thread; elsewhere signals cannot be handled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Request.made = False
    own_process = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != own_process:
            _end_forked_process()
        elif _Request.made or not _Request.postponed:
            _Request.made = True
            raise Terminated
        else:
            _Request.made = True

    earlier_handler = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier_handler)
        _Request.made = False


@contextmanager
def postponed() -> Iterator[None]:
    """Leave a first SIGTERM to the code inside, which asks `is_requested` when it can end.

    A second SIGTERM is not postponed.
    """
    _Request.postponed += 1
    try:
        yield
    finally:
        _Request.postponed -= 1


def ignore_in_worker(worker: int = 0) -> None:
    """Let only the first process end this worker by SIGTERM, which others send to whole groups.

    A worker that ended by itself would fail the run before its state is saved. Where the sender of
    a signal cannot be known (macOS, Windows) SIGTERM ends the worker.
    """
    if not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """Wait for SIGTERM from ``parent``, and end this process."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def _end_forked_process() -> None:
    """End a forked process that has inherited the handler, as it would have ended without."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
