"""Characters of terminals: ASCII where the locale or the encoding has no more."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any, TextIO, cast

ASCII_LOCALES = ("C", "POSIX")
LOCALE_VARIABLES = ("LC_ALL", "LC_CTYPE", "LANG")  # the first that is set decides
SAMPLE = "─█…≥τ"  # of an encoding that has what reports and help need
ERROR_HANDLER = "nd_plugin.ascii"
REPLACEMENTS = {
    "…": "...",
    "─": "-",
    "━": "-",
    "│": "|",
    "·": "-",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "→": "->",
    "–": "-",
    "—": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "τ": "tau",
    "█": "#",
    "▉": "#",
    "▊": "#",
    "▋": "#",
    "▌": "#",
    "▍": "-",
    "▎": "-",
    "▏": "-",
}


class AsciiBuffer(io.StringIO):
    """Text in memory whose encoding says ASCII, so that rich draws rules and boxes in it."""

    encoding = "ascii"  # type: ignore[assignment,unused-ignore]


class AsciiStream:
    """Stream that gets the ASCII form of what is written."""

    encoding = "ascii"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the ASCII form of a text."""
        return self._stream.write(to_ascii(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def is_ascii_only(stream: TextIO) -> bool:
    """Return whether a stream for people to read should get ASCII only.

    Python writes UTF-8 under ``LC_ALL=C``, which terminals of that locale do not show; an encoding
    that was asked for by ``PYTHONIOENCODING`` decides alone.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        SAMPLE.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return True
    if os.environ.get("PYTHONIOENCODING"):
        return False
    locale = next(filter(None, map(os.environ.get, LOCALE_VARIABLES)), "")
    return locale in ASCII_LOCALES


def to_ascii(text: str) -> str:
    """Replace the characters that are not ASCII: by similar ones, else by a question mark."""
    if text.isascii():
        return text
    return "".join(map(_replacement, text))


def fitting(text: str, stream: TextIO) -> str:
    """Return a text as the stream can show it."""
    return to_ascii(text) if is_ascii_only(stream) else text


def readable(stream: TextIO) -> TextIO:
    """Return the stream, or one that writes the ASCII form of what it gets to it."""
    return cast(TextIO, AsciiStream(stream)) if is_ascii_only(stream) else stream


def buffer_for(stream: TextIO) -> io.StringIO:
    """Return an empty buffer for what is rendered for a stream."""
    return AsciiBuffer() if is_ascii_only(stream) else io.StringIO()


def prepare_streams() -> None:
    """Let stdout and stderr replace what they cannot encode; stderr gets ASCII where that is all.

    Stdout keeps its encoding: it may carry data for other programs.
    """
    codecs.register_error(ERROR_HANDLER, _replace_unencodable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERROR_HANDLER)
    if isinstance(sys.stderr, io.TextIOWrapper) and is_ascii_only(sys.stderr):
        sys.stderr.reconfigure(encoding="ascii", errors=ERROR_HANDLER)


def _replacement(character: str) -> str:
    if character.isascii():
        return character
    return REPLACEMENTS.get(character, "?")


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return to_ascii(error.object[error.start : error.end]), error.end
