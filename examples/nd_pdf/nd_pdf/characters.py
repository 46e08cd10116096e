"""Characters of foreign names: those that steer a text, and those that the fonts lack."""

from __future__ import annotations

import re
from collections.abc import Collection

BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# C0, DEL and C1; soft hyphens; marks, embeddings, overrides and isolates of directions
STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
NAMELESS = "(no name)"


def one_line(text: str, covered: Collection[int]) -> str:
    """Return a text on one line, of characters that the fonts have.

    Characters that steer a text are left out, as the host does in its reports. One that the fonts
    lack is written as its number, ``[U+732B]``: the name can still be told from others.
    """
    steady = STEERING.sub("", BREAKS.sub(" ", text)).strip()
    written = [_written(character, covered) for character in steady]
    return "".join(written)


def name_of(text: str, covered: Collection[int]) -> str:
    """Return a name on one line; ``(no name)`` for one without a visible character."""
    return one_line(text, covered) or NAMELESS


def _written(character: str, covered: Collection[int]) -> str:
    code = ord(character)
    return character if code in covered else f"[U+{code:04X}]"
