"""System calls after which a process is killed: in forked processes, at the n-th call."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nd_plugin.storage import exchange as exchange_module
from nd_plugin.storage import folder_swap

# Of `os`: whatever of it changes a disk, and the opening and closing of files.
CALLS = (
    "chmod",
    "close",
    "fsync",
    "ftruncate",
    "link",
    "mkdir",
    "open",
    "pwrite",
    "remove",
    "rename",
    "replace",
    "rmdir",
    "unlink",
    "write",
)


MOST_CALLS = 300


class Killer:
    """Kill this process before its n-th call of the system, counted from 1; 0: only count."""

    def __init__(self, call: int) -> None:
        self.call = call
        self.count = 0

    def patch(self, patches: pytest.MonkeyPatch) -> None:
        """Count the calls of this process from now on."""
        for name in CALLS:
            patches.setattr(os, name, self.counted(getattr(os, name)))
        exchange = exchange_module.exchange
        patches.setattr(folder_swap, "exchange", self.counted(exchange))

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.call:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call


def kill_everywhere(
    parent: Path,
    prepare: Callable[[Path], object],
    work: Callable[[Path], object],
    step: int = 1,
) -> Iterator[Path]:
    """Yield folders in which ``work`` was killed: before its first call, its second …

    With a ``step`` before some of them. In the last folder it has come to its end.
    """
    for call in range(1, MOST_CALLS, step):
        folder = parent / str(call)
        folder.mkdir()
        prepare(folder)
        was_killed = killed_before(call, work, folder)
        yield folder
        if not was_killed:
            return
    raise AssertionError("it never ends")


def killed_before(call: int, work: Callable[[Path], object], folder: Path) -> bool:
    """Work in a forked process, killed before a call; return False where it ended before."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            Killer(call).patch(pytest.MonkeyPatch())
            work(folder)
            status = 0
        except BaseException:  # whatever it is, this process ends here
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, code = os.waitpid(child, 0)
    if os.WIFSIGNALED(code):
        assert os.WTERMSIG(code) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(code) == 0, "see stderr"
    return False


def names(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by name, those of links too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
