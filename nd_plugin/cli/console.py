"""Input and output of the command line: printing, and errors as exit codes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from nd_plugin.errors import NDError, NotSaved

INTERRUPTED = 130  # exit code that typer gives to Ctrl-C
PIPED_WIDTH = 100  # columns where the output goes to a file or another program
UNFOLDED_WIDTH = 10_000  # columns: wider than any table


def stdout_console(piped_width: int = PIPED_WIDTH) -> Console:
    """Return a console on stdout; where it is no terminal: plain, and of a fixed width."""
    width_from_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    width = None if width_from_terminal else piped_width
    return Console(width=width, highlight=False, soft_wrap=False)


def results_only() -> AbstractContextManager[Any]:
    """Send to stderr what models and plugins print: stdout is for results."""
    return contextlib.redirect_stdout(sys.stderr)


def show(
    item: RenderableType, *, wrap_words: bool = True, fold_rows: bool = True
) -> None:
    """Print a table or a text to stdout.

    Without ``wrap_words`` a long line is left to the terminal to wrap. Without ``fold_rows`` each
    row of a table is one line for other programs, however long.
    """
    console = stdout_console(PIPED_WIDTH if fold_rows else UNFOLDED_WIDTH)
    if console.is_terminal:
        console.print(item, soft_wrap=not wrap_words)
        return
    buffer = io.StringIO()
    console.file = buffer
    console.print(item, soft_wrap=not wrap_words)
    lines = buffer.getvalue().splitlines()
    write("\n".join(line.rstrip() for line in lines))


def write(text: str) -> None:
    """Write text to stdout as it is, for other programs. A closed pipe (``| head``) is no failure.

    Raises NotSaved for any other failure to write.
    """
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except OSError as error:
        _discard_stdout()
        if not isinstance(error, BrokenPipeError):
            raise NotSaved(
                f"the output cannot be written: {error.strerror or error}"
            ) from error


def _discard_stdout() -> None:
    """Send buffered output to the null device, so that flushing it at exit does not fail again."""
    null_device = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_device, sys.stdout.fileno())


def new_table(*headers: str) -> Table:
    """Return an empty table without rules, whose cells are folded where they do not fit."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False
    )
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def print_json(value: Any) -> None:
    """Print plain values as JSON."""
    write(json.dumps(value, indent=1, allow_nan=False))


def print_notes(notes: Iterable[str]) -> None:
    """Print each distinct note once, in yellow."""
    for note in dict.fromkeys(notes):
        show(Text(f"! {note}", style="yellow"), wrap_words=False)


def say(message: str, style: str = "dim") -> None:
    """Print a line to stderr."""
    console = Console(stderr=True, highlight=False)
    console.print(Text(message, style=style), soft_wrap=True)


def warn(notes: Iterable[str]) -> None:
    """Print each note as a line to stderr, in yellow."""
    for note in notes:
        say(f"! {note}", "yellow")


def guarded(command: Callable[[], Any]) -> None:
    """Run the command line; turn errors into a line on stderr and an exit code."""
    warnings.showwarning = _show_warning
    _replace_unencodable_characters()
    try:
        command()
    except NDError as error:
        say(f"nd: {error}", "red")
        sys.exit(error.exit_code)
    except SystemExit as exit_request:
        if exit_request.code == INTERRUPTED:
            say("nd: interrupted", "red")
        raise


def _replace_unencodable_characters() -> None:
    """Print a question mark for each character that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _show_warning(
    message: Warning | str, category: type[Warning], *_: Any, **__: Any
) -> None:
    if issubclass(category, RuntimeWarning | UserWarning):
        say(f"nd: warning: {message}", "yellow")
