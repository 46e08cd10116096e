"""Comments on fields of classes, which the API shows as their descriptions."""

from __future__ import annotations

import inspect
import re

FIELD = re.compile(r"^    (\w+): .*?(?:  # (.*))?$")
COMMENT = re.compile(r"^    # (.*)$")


def field_comments(owner: type) -> dict[str, str]:
    """Return the comments of a class behind its fields, or above them, by field."""
    comments = {}
    above: list[str] = []
    for line in inspect.getsource(owner).splitlines():
        if comment := COMMENT.match(line):
            above.append(comment[1])
            continue
        field = FIELD.match(line)
        text = field and (field[2] or " ".join(above))
        if field and text:
            comments[field[1]] = as_markup(text)
        above = []
    return comments


def as_markup(comment: str) -> str:
    """Return a comment in reStructuredText: what is between backticks is literal."""
    words = re.split("`+", comment)
    if len(words) % 2 == 0:
        words = ["".join(words)]
    for place in range(0, len(words), 2):
        words[place] = re.sub(r"([*|\\])", r"\\\1", words[place])
    for place in range(1, len(words), 2):
        words[place] = rf"\ ``{words[place]}``\ "  # letters may follow at once
    return "".join(words).removeprefix("\\ ").removesuffix("\\ ")
