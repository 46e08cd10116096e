"""Progress of a download and of its unpacking on stderr: a bar, or a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Any

from nd_plugin.cli import console
from nd_plugin.shell import messages

# seconds between two lines where no bar can be shown
LINE_INTERVAL = 30.0
UNITS = {"download": "B", "unpack": "file"}


class Progress:
    """Progress by stage; messages are written above its bar."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._last_line = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show that ``done`` of ``total`` bytes or files are done; None: of an unknown number."""
        if messages.is_quiet():
            return
        if not sys.stderr.isatty():
            self._log(stage, done, total)
            return
        is_new = stage != self._stage or self._bar is None or done < self._bar.n
        if is_new:
            self._begin(stage, done, total)
        self._bar.update(done - self._bar.n)
        if done == total:
            self._close()

    def say(self, message: str) -> None:
        """Print a line to stderr; it ends the bar."""
        self._close()
        console.say(message)

    def _begin(self, stage: str, done: int, total: int | None) -> None:
        from tqdm.auto import tqdm

        self._close()
        self._stage = stage
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=stage,
            unit=UNITS.get(stage, "it"),
            unit_scale=True,
            leave=False,
        )

    def _log(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._last_line > LINE_INTERVAL:
            self._last_line = now
            console.say(
                f"{stage}: {_amount(stage, done)} of {_amount(stage, total)}"
            )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _amount(stage: str, count: int | None) -> str:
    if count is None:
        return "an unknown number"
    return (
        f"{count / 2**20:.1f} MiB" if UNITS.get(stage) == "B" else f"{count} files"
    )
