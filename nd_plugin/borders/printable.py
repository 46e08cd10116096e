"""Characters of foreign names on their way to terminals, files and pages.

A name may hold an escape sequence that rewrites a terminal, an override that turns the text behind
it around, a line break that forges a line, or half a character that no encoding has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

REPLACEMENT = "\ufffd"
# C0 without line feed and tab, DEL, C1; half characters, and two that are none
CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
HALVES = "\ud800-\udfff"
# marks, embeddings, overrides and isolates of directions; line and paragraph separators
DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
SEPARATORS = "\u2028\u2029"
UNPRINTABLE = re.compile(f"[{CONTROL}{DIRECTIONS}{SEPARATORS}\ufeff]")
HALF = re.compile(f"[{HALVES}\ufffe\uffff]")
# characters that XML 1.0 has no way to write
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
BREAKS = re.compile(f"[\t\n\v\f\r\x1c-\x1e\x85{SEPARATORS}]")


def printable(text: str) -> str:
    """Return a text without the characters that steer a terminal; line feeds and tabs stay.

    Half characters, such as bytes of a file name that are no UTF-8, are replaced.
    """
    if text.isascii() and text.isprintable():
        return text
    return HALF.sub(REPLACEMENT, UNPRINTABLE.sub("", text))


def one_line(text: str) -> str:
    """Return a text for one line or one cell of a table: without breaks, too."""
    return printable(BREAKS.sub(" ", text))


def on_one_line(text: Text) -> Text:
    """Return a styled text without line breaks; characters keep their places and styles."""
    if not BREAKS.search(text.plain):
        return text
    flat = text.copy()
    flat.plain = BREAKS.sub(" ", text.plain)
    return flat


def in_xml(text: str) -> str:
    """Return a text with the characters replaced that XML 1.0 cannot hold."""
    return NOT_IN_XML.sub(REPLACEMENT, text)


def utf8(text: str) -> bytes:
    """Return a text in UTF-8, with half characters replaced, which it has not."""
    return HALF.sub(REPLACEMENT, text).encode()


@dataclass(frozen=True)
class Blocks:
    """What a function yields for a console and its options."""

    yielded_by: Callable[[Console, ConsoleOptions], Iterator[RenderableType]]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        return self.yielded_by(console, options)


@dataclass(frozen=True)
class Printable:
    """What is shown in a terminal, without the characters that steer it.

    Styles and pictures of rich stay: they are no characters of a text.
    """

    item: RenderableType

    def __rich_measure__(
        self, console: Console, options: ConsoleOptions
    ) -> Measurement:
        return Measurement.get(console, options, self.item)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[Segment]:
        return _printable_segments(console.render(self.item, options))


def _printable_segments(segments: Iterable[Segment]) -> Iterator[Segment]:
    for segment in segments:
        if segment.control or _is_plain(segment.text):
            yield segment
        else:
            yield Segment(printable(segment.text), segment.style)


def _is_plain(text: str) -> bool:
    return printable(text) == text
