"""Input and output of the command line: printing, and errors as exit codes."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from nd_plugin.borders.printable import Printable, printable
from nd_plugin.captum_api.progress import StageProgress
from nd_plugin.errors import BadInput, NDError, NotSaved, RunFailed
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.machine import termination
from nd_plugin.report.json_text import document_text, error_content, is_usage_error
from nd_plugin.shell import characters, leftover_threads, lost_streams, messages
from nd_plugin.shell.narrow import FittingTable, TableOfNames

SHOWN_OF_A_NAME = 60  # characters
INTERRUPTED = 130  # exit code that typer gives to Ctrl-C
PIPED_WIDTH = 100  # columns where the output goes to a file or another program
UNFOLDED_WIDTH = 10_000  # columns: wider than any table

# Under --json: what the command has printed so far. It is written when the command ends, so that
# an error joins it and stdout holds one document.
_document: ContextVar[dict[str, Any] | None] = ContextVar("document", default=None)


def stdout_console(piped_width: int = PIPED_WIDTH) -> Console:
    """Return a console on stdout; where it is no terminal: plain, and of a fixed width."""
    width_from_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    width = None if width_from_terminal else piped_width
    return Console(
        width=width,
        highlight=False,
        soft_wrap=False,
        theme=messages.THEME,
        force_jupyter=False,
        # texts are names, and names of strangers: brackets and colons in them mean nothing
        markup=False,
        emoji=False,
    )


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
    if isinstance(item, Table):
        item = FittingTable(item)
    item = Printable(item)
    console = stdout_console(PIPED_WIDTH if fold_rows else UNFOLDED_WIDTH)
    if console.is_terminal and not characters.is_ascii_only(sys.stdout):
        with failures_translated():
            console.print(item, soft_wrap=not wrap_words)
        return
    is_terminal = console.is_terminal
    buffer = characters.buffer_for(sys.stdout)
    console.file = buffer
    console.print(item, soft_wrap=not wrap_words)
    text = characters.fitting(buffer.getvalue(), sys.stdout)
    lines = text.splitlines()
    _write("\n".join(line if is_terminal else line.rstrip() for line in lines))


def write(text: str) -> None:
    """Write text to stdout as it is, for other programs. A closed pipe (``| head``) is no failure.

    A terminal gets it without the characters that would steer it. Raises NotSaved for any other
    failure to write.
    """
    _write(printable(text) if sys.stdout.isatty() else text)


def _write(text: str) -> None:
    """Write text, as it is, to stdout. Raises NotSaved."""
    with failures_translated():
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()


@contextlib.contextmanager
def failures_translated() -> Iterator[None]:
    """Translate failures to write to stdout to NotSaved; a closed pipe is none."""
    try:
        yield
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
    table = TableOfNames(
        box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False
    )
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def print_json(content: Mapping[str, Any]) -> None:
    """Print an object as JSON, with the version of its schema.

    Under ``--json`` it is printed when the command ends, together with the error if there is one.
    """
    document = _document.get()
    if document is None:
        write(document_text(content))
    else:
        document.update(content)


def print_notes(notes: Iterable[str]) -> None:
    """Print each distinct note once, in yellow."""
    for note in dict.fromkeys(notes):
        show(Text(f"! {note}", style="yellow"), wrap_words=False)


def say(message: str, style: str = "dim") -> None:
    """Print a line to stderr, and to the log file if there is one."""
    messages.say(message, style)


def warn(notes: Iterable[str]) -> None:
    """Print each note as a line to stderr, in yellow."""
    for note in notes:
        say(f"! {note}", "yellow")


def say_nothing(message: str) -> None:
    """Say nothing: the first of several processes speaks for all."""


def progress(*, is_shown: bool = True) -> StageProgress:
    """Return the progress of a run for stderr: lines, and bars unless ``--quiet``."""
    return StageProgress(
        disable=not is_shown, summary_lines=True, bars=not messages.is_quiet()
    )


def guarded(command: Callable[..., Any]) -> None:
    """Run the command line; turn errors into a line on stderr and an exit code.

    Under ``--json`` an error is an object on stdout, too: ``{"error": {"type", "message",
    "exit_code"}}``.
    """
    warnings.showwarning = _show_warning
    lost_streams.forgive_stderr()
    characters.prepare_streams()
    with messages.shown_on_stderr(), termination.handled():
        try:
            _exit_with_code(command)
        except SystemExit as exit_request:
            leftover_threads.limit(exit_request.code)
            raise


def without_foreign_exits(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that no other code can end: SystemExit and its like are failures.

    The last border: models and plugins have their own, which say more. An exit would otherwise be
    that of ``nd``, without a result and with a code of 0.
    """

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except Exception:
            raise
        except BaseException as error:
            if not is_failure(error):
                raise
            raise RunFailed(
                "the command was ended by code that it ran"
                f"{_line_of(error)}: {describe_error(error)}"
            ) from error

    return run


def _line_of(error: BaseException) -> str:
    """Return the file and line that raised an exception, as a part of a message."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f" ({frames[-1].filename}, line {frames[-1].lineno})"


def _exit_with_code(command: Callable[..., Any]) -> None:
    as_json = _asks_for_json(sys.argv[1:])
    try:
        with _one_document() if as_json else contextlib.nullcontext():
            # Usage errors are typer's to print, unless they have to become JSON.
            exit_code = command(standalone_mode=not as_json)
            sys.exit(exit_code if isinstance(exit_code, int) else 0)
    except NDError as error:
        say(f"nd: {error}", "red")
        messages.LOGGER.debug("traceback of the error", exc_info=error)
        sys.exit(error.exit_code)
    except termination.Terminated as end:
        say(f"nd: {end}", "red")
        sys.exit(end.exit_code)
    except KeyboardInterrupt:
        say("nd: interrupted", "red")
        sys.exit(INTERRUPTED)
    except SystemExit as exit_request:
        if exit_request.code == INTERRUPTED:
            say("nd: interrupted", "red")
        raise
    except Warning as warning:
        say(
            f"nd: a warning was raised as an error, as Python's -W or PYTHONWARNINGS asks: "
            f"{describe_error(warning)}",
            "red",
        )
        sys.exit(RunFailed.exit_code)
    except Exception as error:
        _exit_for_long_name(error)
        if not is_usage_error(error):
            raise
        content = error_content(error)["error"]
        say(f"nd: {content['message']}", "red")
        sys.exit(content["exit_code"])


def _exit_for_long_name(error: Exception) -> None:
    """Exit where a text of the command line is too long for a name of a file.

    Any text may be looked up as a path, and Python's own questions about paths raise then.
    """
    if not isinstance(error, OSError) or error.errno != errno.ENAMETOOLONG:
        return
    name = str(error.filename)
    shown = f"{name[:SHOWN_OF_A_NAME]}…" if len(name) > SHOWN_OF_A_NAME else name
    say(f"nd: {shown!r} is too long for the name of a file; shorten it", "red")
    sys.exit(BadInput.exit_code)


def _asks_for_json(arguments: list[str]) -> bool:
    options = itertools.takewhile(lambda argument: argument != "--", arguments)
    return "--json" in options


@contextlib.contextmanager
def _one_document() -> Iterator[None]:
    """Print one JSON document when the block ends: what it printed as JSON, and its error."""
    content: dict[str, Any] = {}
    token = _document.set(content)
    try:
        yield
    except BaseException as error:
        content.update(error_content(error))
        raise
    finally:
        _document.reset(token)
        if content:
            write(document_text(content))


def _show_warning(
    message: Warning | str, category: type[Warning], *_: Any, **__: Any
) -> None:
    if issubclass(category, RuntimeWarning | UserWarning):
        say(f"nd: warning: {message}", "yellow")
