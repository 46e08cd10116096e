"""Threads that other code has started: Python waits for them when a command is done."""

from __future__ import annotations

import os
import sys
import threading
import time

from nd_plugin.shell import messages

SAID_AFTER = 3.0  # seconds; executors of the standard library end at once
ENDED_AFTER = 60.0  # seconds, for threads that still send or write something


def limit(exit_code: str | int | None) -> None:
    """Limit the time that this process waits for others' threads when its command is done.

    They are named after `SAID_AFTER`; after `ENDED_AFTER` the process ends without them.
    """
    if not names_of_leftovers():
        return
    code = exit_code if isinstance(exit_code, int) else int(exit_code is not None)
    threading.Thread(target=_end_without_them, args=(code,), daemon=True).start()


def names_of_leftovers() -> list[str]:
    """Return the names of the threads that Python waits for."""
    main_thread = threading.main_thread()
    return [
        thread.name
        for thread in threading.enumerate()
        if thread is not main_thread and not thread.daemon
    ]


def _end_without_them(exit_code: int) -> None:
    time.sleep(SAID_AFTER)
    names = ", ".join(names_of_leftovers())
    messages.say(
        f"nd: done; waiting for threads that the code of a model or plugin has started: {names}",
        "yellow",
    )
    time.sleep(ENDED_AFTER - SAID_AFTER)
    messages.say(
        f"nd: they do not end after {ENDED_AFTER:g} s; ending without them",
        "yellow",
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
