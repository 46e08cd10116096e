"""Comments on fields of dataclasses, which the API shows as their descriptions."""

from __future__ import annotations

import functools
import inspect
import re

FIELD = re.compile(r"^    (\w+): .*?(?:  # (.*))?$")
COMMENT = re.compile(r"^    # (.*)$")


def field_comment(owner: type, field: str) -> str:
    """Return the comment behind a field, or above it; "" where there is none."""
    for home in owner.__mro__:
        comment = _comments_of(home).get(field)
        if comment:
            return comment
    return ""


@functools.cache
def _comments_of(owner: type) -> dict[str, str]:
    try:
        lines = inspect.getsource(owner).splitlines()
    except (OSError, TypeError):  # built in
        return {}
    comments = {}
    above: list[str] = []
    for line in lines:
        if comment := COMMENT.match(line):
            above.append(comment[1])
            continue
        if field := FIELD.match(line):
            comments[field[1]] = field[2] or " ".join(above)
        above = []
    return comments
