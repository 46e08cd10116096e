"""JSON documents, of results and of errors: each carries the version of its schema.

Python's writer puts each number of a list on a line of its own: a mask's run lengths would take
thousands. Here a list of numbers, and a flat object within a list, is one line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

# Version of all JSON that is printed or exported. It is raised when a key is removed or renamed or
# changes its meaning, not when a key is added.
SCHEMA = 1
SIGNALLED = 128  # exit codes above it name the signal that ended the command


def document_text(content: Mapping[str, Any]) -> str:
    """Return an object as JSON, behind the key ``schema``.

    Numbers that are not finite become null: JSON has no NaN.
    """
    text = _text({"schema": SCHEMA, **content}, margin="")
    # the one character that steers a terminal, and that Python's writer leaves as it is
    return text.replace("\x7f", "\\u007f")


def error_content(error: BaseException) -> dict[str, Any]:
    """Return, under ``error``, type, message and exit code; nothing of an exit with code 0."""
    if isinstance(error, SystemExit):
        return _exit_content(error.code)
    name = type(error).__name__
    message = str(error)
    exit_code = getattr(error, "exit_code", 1)
    if is_usage_error(error):
        name = "UsageError"
        # typer's classes differ from version to version
        message = error.format_message()  # type: ignore[attr-defined]
        exit_code = 2
    return {"error": {"type": name, "message": message, "exit_code": exit_code}}


def is_usage_error(error: BaseException) -> bool:
    """Return whether an error is typer's, about the options and arguments of a command."""
    return hasattr(error, "format_message")


def _exit_content(code: str | int | None) -> dict[str, Any]:
    """Return the content of an exit that typer or a signal asked for."""
    if not code:
        return {}
    exit_code = code if isinstance(code, int) else 1
    is_signal = exit_code > SIGNALLED
    name = "Interrupted" if is_signal else "SystemExit"
    message = f"interrupted, exit code {code}" if is_signal else str(code)
    return {"error": {"type": name, "message": message, "exit_code": exit_code}}


def _text(value: Any, margin: str) -> str:
    """Return a value as JSON; lines after the first begin with ``margin``."""
    if isinstance(value, Mapping) and value:
        members = [
            f"{json.dumps(str(name))}: {_text(item, margin + ' ')}"
            for name, item in value.items()
        ]
        return _lines("{", members, "}", margin)
    if _is_list(value) and value and not _is_number_list(value):
        items = [_item_text(item, margin + " ") for item in value]
        return _lines("[", items, "]", margin)
    return _one_line(value)


def _item_text(item: Any, margin: str) -> str:
    """Return an item of a list; a flat object is one line."""
    if isinstance(item, Mapping) and not any(map(_is_container, item.values())):
        return _one_line(item)
    return _text(item, margin)


def _lines(opening: str, members: Sequence[str], closing: str, margin: str) -> str:
    separator = f",\n{margin} "
    return f"{opening}\n{margin} {separator.join(members)}\n{margin}{closing}"


def _one_line(value: Any) -> str:
    return json.dumps(_without_non_finite(value), allow_nan=False)


def _without_non_finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_non_finite(item) for name, item in value.items()}
    if _is_list(value):
        return [_without_non_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _is_number_list(value: Any) -> bool:
    return _is_list(value) and all(isinstance(item, Number) for item in value)


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping) or _is_list(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
