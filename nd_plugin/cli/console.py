"""The edge: printing, progress, and errors as exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from nd_plugin.errors import NDError, NotSaved

INTERRUPTED = 130  # what typer makes of Ctrl-C


PIPED_WIDTH = 100  # columns, where the output goes to a file or another program


UNFOLDED = 10_000  # columns: more than a table has


EVERY = 30  # seconds, from line to line about a stage that goes on where no bar can be shown


def out(width: int = PIPED_WIDTH) -> Console:
    """Stdout; plain and of a fixed width where it is no terminal."""
    chosen = None if sys.stdout.isatty() or "COLUMNS" in os.environ else width
    return Console(width=chosen, highlight=False, soft_wrap=False)


def err() -> Console:
    """Stderr."""
    return Console(stderr=True, highlight=False)


def results_only() -> AbstractContextManager[Any]:
    """While models and plugins are at work, what they print goes to stderr: stdout is for results."""
    return contextlib.redirect_stdout(sys.stderr)


def show(what: RenderableType, *, whole: bool = False, folded: bool = True) -> None:
    """Print to stdout; ``whole`` leaves a line to be wrapped by the terminal alone.

    Not ``folded``, the rows of a table are lines for other programs, however long.
    """
    console = out(PIPED_WIDTH if folded else UNFOLDED)
    if console.is_terminal:
        console.print(what, soft_wrap=whole)
        return
    printed = io.StringIO()
    console.file = printed
    console.print(what, soft_wrap=whole)
    write("\n".join(line.rstrip() for line in printed.getvalue().splitlines()))


def write(text: str) -> None:
    """Text to stdout as it is, for other programs; one that has read enough, such as ``head``, is no failure.

    Raises NotSaved where it cannot be written otherwise.
    """
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except OSError as error:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is still buffered is let go
        if not isinstance(error, BrokenPipeError):
            raise NotSaved(f"the output cannot be written: {error.strerror or error}") from error


def say(message: str, style: str = "dim") -> None:
    """A line on stderr."""
    err().print(Text(message, style=style), soft_wrap=True)


def guarded(command: Callable[[], Any]) -> None:
    """Run the command line; errors become a line on stderr and an exit code."""
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # an encoding that lacks a bar or an umlaut gets a question mark
            stream.reconfigure(errors="replace")
    try:
        command()
    except NDError as error:
        say(f"nd: {error}", "red")
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            say("nd: interrupted", "red")
        raise


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, RuntimeWarning | UserWarning):
        say(f"nd: warning: {message}", "yellow")


class StageProgress:
    """The engine's progress on stderr: images per second and time left; a line per stage where it is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(quiet=True) if quiet else err()
        self._bar = Progress(
            TextColumn("{task.description:<11}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._started: dict[
            str, tuple[float, int]
        ] = {}  # when, and how many images were done before
        self._told = time.monotonic()

    def __enter__(self) -> StageProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images are done in ``stage``."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total, rate="")
            self._started[stage] = time.monotonic(), done
        started, before = self._started[stage]
        spent, new = time.monotonic() - started, done - before
        rate = f"{new / spent:.1f} images/s" if new and spent else ""
        self._bar.update(self._tasks[stage], completed=done, rate=rate)
        if done < total and not self._console.is_terminal and time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            self._console.print(Text(f"{stage}: {done} of {total} images, {rate}"), soft_wrap=True)
        if done == total:
            self._bar.update(self._tasks[stage], visible=False)
        if done == total and new:
            line = Text(f"{stage}: {new} images in {spent:.1f} s, {rate}", style="dim")
            self._console.print(
                line, soft_wrap=True
            )  # above the live bars, which this console knows of
