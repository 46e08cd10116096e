"""Messages of the command line: the logger ``nd_plugin``, on stderr and in a log file.

Every message is a record of the logger ``nd_plugin``; stderr and the file of ``--log-file`` are its
handlers while a command runs. Users of the library attach handlers of their own.
"""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from nd_plugin.borders.printable import printable
from nd_plugin.errors import BadInput
from nd_plugin.report import colours
from nd_plugin.shell.option_groups import parameters_of, set_parameters
from nd_plugin.storage.names import check_path

LOGGER = logging.getLogger("nd_plugin")
LEVEL_OF_STYLE = {
    "dim": logging.INFO,
    "yellow": logging.WARNING,
    "red": logging.ERROR,
}
STYLE_OF_LEVEL = {level: style for style, level in LEVEL_OF_STYLE.items()}
# What is meant by the names of colours: tones that can be read on dark and on light backgrounds.
THEME = Theme(
    {
        "dim": colours.FAINT,
        "green": colours.GOOD,
        "yellow": colours.WARNING,
        "red": colours.FAILURE,
    }
)
FILE_FORMAT = "%(asctime)s %(levelname)s [%(process)d] %(message)s"


class StderrHandler(logging.Handler):
    """Handler that prints records to stderr, coloured by their level."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record, on one line however long."""
        console = Console(
            stderr=True, highlight=False, theme=THEME, force_jupyter=False
        )
        style = STYLE_OF_LEVEL.get(record.levelno, "")
        message = printable(record.getMessage())
        console.print(Text(message, style=style), soft_wrap=True)


class LineFormatter(logging.Formatter):
    """Formatter of a log file, in which a message cannot forge the line of another."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record; lines after its first one are indented."""
        return printable(super().format(record)).replace("\n", "\n  ")


@contextmanager
def shown_on_stderr() -> Iterator[None]:
    """Show messages on stderr while a command runs, and forget its handlers afterwards."""
    handlers = LOGGER.handlers
    level = LOGGER.level
    propagate = LOGGER.propagate
    handler = StderrHandler(logging.INFO)
    LOGGER.handlers = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    try:
        yield
    except Exception:
        LOGGER.debug("unexpected error", exc_info=True)
        raise
    finally:
        for opened in LOGGER.handlers:
            opened.close()
        LOGGER.handlers = handlers
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate


def say(message: str, style: str = "dim") -> None:
    """Log a message, at the level that belongs to its style.

    A function of the command line that is called from elsewhere shows its messages all the same.
    """
    level = LEVEL_OF_STYLE.get(style, logging.INFO)
    LOGGER.log(level, "%s", message)
    if not any(isinstance(handler, StderrHandler) for handler in LOGGER.handlers):
        StderrHandler().emit(
            LOGGER.makeRecord(LOGGER.name, level, "", 0, message, (), None)
        )


def be_quiet() -> None:
    """Show only warnings and errors on stderr from now on."""
    for handler in LOGGER.handlers:
        if isinstance(handler, StderrHandler):
            handler.setLevel(logging.WARNING)


def is_quiet() -> bool:
    """Return whether stderr shows no messages below warnings."""
    return any(
        isinstance(handler, StderrHandler) and handler.level > logging.INFO
        for handler in LOGGER.handlers
    )


def log_to_file(path: Path) -> None:
    """Append messages to a file, too, beginning with the command. Raises BadInput."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"--log-file {path} cannot be written: {error.strerror or error}"
        ) from error
    handler.setFormatter(LineFormatter(FILE_FORMAT))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    version = metadata.version("nd_plugin")
    LOGGER.debug("nd_plugin %s: nd %s", version, " ".join(sys.argv[1:]))


@dataclass(frozen=True)
class MessageOptions:
    """Options of every command: which messages are shown, and where they are kept."""

    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Only warnings and errors on stderr: no progress."
        ),
    ] = False
    log_file: Annotated[
        Path | None,
        typer.Option(
            "--log-file",
            metavar="FILE",
            help="Append all messages, with times, to FILE.",
        ),
    ] = None

    def apply(self) -> None:
        """Set up the messages of the command that runs. Raises BadInput."""
        if self.quiet:
            be_quiet()
        if self.log_file is not None:
            log_to_file(self.log_file)


def check_paths(values: Iterable[Any]) -> None:
    """Raise BadInput for a path among the values of options that no file can have as a name.

    Options may be in groups.
    """
    for value in values:
        if is_dataclass(value):
            check_paths(vars(value).values())
        paths = value if isinstance(value, list | tuple) else [value]
        for path in paths:
            if isinstance(path, Path):
                check_path(path)


def with_message_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with a group more, `MessageOptions`, behind its own options."""

    @functools.wraps(command)
    def with_messages(*, messages: MessageOptions, **options: Any) -> None:
        messages.apply()
        check_paths(options.values())
        command(**options)

    group = inspect.Parameter(
        "messages", inspect.Parameter.KEYWORD_ONLY, annotation=MessageOptions
    )
    set_parameters(with_messages, [*parameters_of(command), group])
    return with_messages
