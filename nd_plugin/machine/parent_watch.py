"""Processes that end with the process that started them, however that ends.

A process that is killed tells those that it started nothing: they would go on, or wait for good.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any

SECONDS_BETWEEN_LOOKS = 1.0  # where the system does not tell of an end
SECONDS_TO_SAVE = 60.0  # of a process that is asked to end before it is ended
EXIT_CODE = 1


def end_with_parent() -> None:
    """End this process in the middle of its work when the process that started it ends.

    For workers, which have nothing to save. A thread watches; it starts at once.
    """
    _watch(_end_at_once)


def terminate_with_parent() -> None:
    """Ask this process to end, by SIGTERM, when the process that started it ends.

    For processes with state to save. One that cannot react is ended after `SECONDS_TO_SAVE`.
    """
    _watch(_ask_to_end)


def _watch(react: Callable[[], None]) -> None:
    """Call ``react`` in a thread once the parent process has ended."""
    parent = _parent_process()
    # a server of forks may be in between; then the system's parent is another
    process = os.getppid() if parent is None else parent.pid

    def watch() -> None:
        _await_end(process)
        react()

    Thread(target=watch, name="nd_plugin parent", daemon=True).start()


def _parent_process() -> Any:
    """Return the process that `multiprocessing` has started this one from, if it has."""
    # the program starts without it
    from multiprocessing import parent_process

    return parent_process()


def _await_end(process: int | None) -> None:
    """Wait for the end of the process that has started this one."""
    if process is not None and hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(process)
        except ProcessLookupError:
            return
        except OSError:  # an older kernel, or a sandbox that forbids it
            descriptor = -1
        if descriptor >= 0:
            _await_readable(descriptor)
            return
    parent = _parent_process()
    if parent is not None:
        parent.join()
        return
    while os.getppid() == process:
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _await_readable(descriptor: int) -> None:
    """Wait for the end of the process of a descriptor."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()
    os.close(descriptor)


def _end_at_once() -> None:
    os._exit(EXIT_CODE)


def _ask_to_end() -> None:
    with suppress(OSError):
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_SAVE)
    os._exit(128 + signal.SIGTERM)
