"""SIGINT, SIGTERM and SIGHUP: requests to end, granted at once or where state can be saved.

While `postponed`, the first request waits for the next batch, whose end saves the state; not
longer than `SECONDS_TO_SAVE`: whoever sends SIGTERM does not wait for ever either. Only a program
handles signals (`handled`); a library leaves them to its user.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from nd_plugin.foreign_code import Signal
from nd_plugin.machine.parent_watch import end_with_parent

# less than the half minute that schedulers wait before they kill
SECONDS_TO_SAVE = 20.0

SIGHUP: int | None = getattr(signal, "SIGHUP", None)  # Windows has none
WORDS: dict[int | None, str] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    SIGHUP: "hung up",
}
REQUESTS = [int(number) for number in WORDS if number is not None]
# a closed terminal sends SIGHUP twice, by itself and by its shell
INSISTING = (signal.SIGINT, signal.SIGTERM)
# for whoever has pressed Ctrl-C
NOTICE = "\nnd: interrupted: saving after the batch at work (Ctrl-C again: end at once)\n"


class Terminated(Signal):
    """End of this process as a signal asks for, no error to recover from."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(WORDS[number])
        self.exit_code: int = 128 + number


class Interrupted(Terminated, KeyboardInterrupt):
    """End of this process as Ctrl-C asks for."""


class _Request:
    """Request to end this process: by which signal it was made, and whether it waits."""

    number: int | None = None
    insistence = 0  # signals so far of those that insist
    postponed = 0  # `postponed` contexts around the code that runs
    saving = 0  # `saving` contexts


def is_requested() -> bool:
    """Return whether a signal has asked this process to end."""
    return _Request.number is not None


def is_due() -> bool:
    """Return whether a request need not wait for what is being saved."""
    return is_requested() and not _Request.saving


def grant_request() -> None:
    """End this process if a signal has asked for it. Raises Terminated."""
    _stop_alarm()
    if is_requested():
        raise _end_of(_Request.number or signal.SIGTERM)


def _end_of(number: int) -> Terminated:
    return Interrupted(number) if number == signal.SIGINT else Terminated(number)


@contextmanager
def handled() -> Iterator[None]:
    """Raise Terminated for SIGINT, SIGTERM and SIGHUP, in the main thread of a program.

    A signal that the program was started to ignore stays ignored (nohup). Elsewhere than in the
    main thread signals cannot be handled. In a process that is forked inside they act as without.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _forget_request()
    handler = _handler(os.getpid())
    earlier = {}
    for number in REQUESTS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            earlier[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        _stop_alarm()
        for number, earlier_handler in earlier.items():
            signal.signal(number, earlier_handler)
        _forget_request()


@contextmanager
def handled_by_program() -> Iterator[None]:
    """Handle signals from the start of a program to its end, which is one line and an exit code.

    For requests before the program can report them, and a second one while it ends.
    """
    try:
        with handled():
            yield
    except (Terminated, KeyboardInterrupt) as end:
        exit_code = getattr(end, "exit_code", 128 + signal.SIGINT)
        _write(f"nd: {WORDS[exit_code - 128]}\n")
        sys.exit(exit_code)
    finally:
        atexit.unregister(_end_by_interrupt)
        atexit.register(_end_by_interrupt)


def _end_by_interrupt() -> None:
    """Let Ctrl-C end this process at once: while Python ends, an exception is a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _handler(own_process: int) -> Callable[[int, FrameType | None], None]:
    """Return the handler of all signals in one process."""

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != own_process:
            _act_in_forked_process(number, frame)
        else:
            _request(number)

    return handle


def _request(number: int) -> None:
    """Take note of a signal; raise Terminated unless it is the first and postponed."""
    first = _Request.number is None
    if first:
        _Request.number = number
    _Request.insistence += number in INSISTING
    if number == SIGHUP:
        _leave_terminal()
    insists = number in INSISTING and _Request.insistence > 1
    if insists or not _Request.postponed:
        _stop_alarm()
        raise _end_of(number)
    if first and not _Request.saving:
        _start_alarm()
    if number == signal.SIGINT:
        _write(NOTICE)


@contextmanager
def postponed() -> Iterator[None]:
    """Leave a first request to the code inside, which asks `is_requested` when it can end.

    A second SIGINT or SIGTERM is not postponed, and none for more than `SECONDS_TO_SAVE`.
    """
    _Request.postponed += 1
    try:
        yield
    finally:
        _Request.postponed -= 1


@contextmanager
def saving() -> Iterator[None]:
    """Take all the time that the code inside needs, which saves what a request has to wait for."""
    _stop_alarm()
    _Request.saving += 1
    try:
        with postponed():
            yield
    finally:
        _Request.saving -= 1
        if _Request.postponed and is_requested():
            _start_alarm()


def _forget_request() -> None:
    _Request.number = None
    _Request.insistence = 0


def _start_alarm() -> None:
    """Let the system's timer grant the request, where the batch at work takes too long."""
    if _has_alarm():
        signal.signal(signal.SIGALRM, lambda number, frame: grant_request())
        signal.setitimer(signal.ITIMER_REAL, SECONDS_TO_SAVE)


def _stop_alarm() -> None:
    """Stop the timer if it runs for a request."""
    if _has_alarm() and is_requested():
        signal.setitimer(signal.ITIMER_REAL, 0)


def _has_alarm() -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and hasattr(signal, "setitimer")


def _write(line: str) -> None:
    """Write to stderr past its stream, which may be at work, or not yet there."""
    with suppress(OSError):
        os.write(2, line.encode())


def _leave_terminal() -> None:
    """Send output to the null device where the terminal is gone, and writing would fail."""
    with suppress(OSError):
        null_device = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):
            if _is_gone(descriptor):
                os.dup2(null_device, descriptor)
        os.close(null_device)


def _is_gone(descriptor: int) -> bool:
    """Return whether an output is a terminal that has hung up."""
    try:
        os.write(descriptor, b"")
    except OSError:
        return True
    return False


@contextmanager
def shielded() -> Iterator[None]:
    """Start processes that no signal reaches before they are prepared (`ignore_in_worker`)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def ignore_in_worker(worker: int = 0) -> None:
    """Let only the first process end this worker: by SIGTERM, or by its own end.

    Signals go to whole groups of processes. A worker that ended by itself would fail the run
    before its state is saved. Where the sender of a signal cannot be known (macOS, Windows)
    SIGTERM ends the worker.
    """
    # what is ignored may stay blocked (`shielded`)
    for number in REQUESTS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        watch = threading.Thread(
            target=_end_with, args=(os.getppid(),), daemon=True
        )
        watch.start()
    elif hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)
    # a thread has the mask of the one that starts it
    end_with_parent()


def _end_with(parent: int) -> None:
    """Wait for SIGTERM from ``parent``, and end this process."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def _act_in_forked_process(number: int, frame: FrameType | None) -> None:
    """Act in a forked process that has inherited the handler as it would have without."""
    if number == signal.SIGINT:
        signal.default_int_handler(number, frame)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
