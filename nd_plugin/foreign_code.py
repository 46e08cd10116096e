"""Border to foreign code: models, plugins and readers of files, which may raise anything.

A training script that parses arguments when it is imported raises SystemExit, which would end
this process without a result and with its exit code. Such an exit is a failure of the code that
asked for it, like any other exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nd_plugin.errors import ConceptSetInvalid, NDError, RunFailed, Unreadable

LONGEST = 2000  # characters of a foreign message in one of ours


class Signal(BaseException):
    """Request of nd_plugin itself to end a pass or the process, which no border translates."""


def is_failure(error: BaseException) -> bool:
    """Return whether an exception is a failure of the code that raised it.

    True for SystemExit, GeneratorExit and classes of the code's own, too; not for Ctrl-C, nor for
    nd_plugin's own signals.
    """
    return not isinstance(error, KeyboardInterrupt | Signal)


def describe_error(error: BaseException) -> str:
    """Return an exception of foreign code in one line, for messages: its class and its message."""
    name = type(error).__name__
    try:
        message = " ".join(str(error).split())
    # the class of the exception is foreign code itself
    except BaseException as broken:
        if not is_failure(broken):
            raise
        message = "(its message cannot be read)"
    if isinstance(error, SystemExit):
        code = f": {message}" if message else ""
        return f"{name}{code} (it asked the process to end)"
    if isinstance(error, MemoryError) and not message:
        message = "out of memory"
    if len(message) > LONGEST:
        message = f"{message[:LONGEST]} …"
    return f"{name}: {message}"


@contextmanager
def translating_errors(
    translate: Callable[[BaseException], NDError],
) -> Iterator[None]:
    """Run foreign code; raise ``translate(error)`` for what it raises, chained to the original.

    Errors of nd_plugin pass as they are, and so do Ctrl-C and nd_plugin's own signals.
    """
    try:
        yield
    except NDError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        raise translate(error) from error


def stopping_failure(error: BaseException, place: str) -> NDError | None:
    """Return the error that stops a run; None for an exception of one image, which is skipped.

    ``place`` is what was read of a concept set: "the image of street/1.jpg". Too little memory, a
    concept set that does not keep its contract and SystemExit say nothing of the image.

    PluginFailed says all itself: callers pass it on, as images may have no names.
    """
    if isinstance(error, ConceptSetInvalid):
        return ConceptSetInvalid(f"{place}: {error}")
    if isinstance(error, RunFailed) and not isinstance(error, Unreadable):
        return RunFailed(f"{place}: {error}")
    if not isinstance(error, Exception):
        return RunFailed(
            f"the concept set failed in {place}: {describe_error(error)}"
        )
    return None
