"""Texts of single concept sets: paths in them, and operators that were read as part of a name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nd_plugin.errors import nearest
from nd_plugin.storage.names import expanded_home

SCHEME = re.compile(r"[A-Za-z][\w.-]*:")
COLOUR = "color"  # what can be added to a set without being one


def path_exists(argument: str) -> bool:
    """Return whether an argument is a file or folder, as it is or without spaces at its end."""
    for path in dict.fromkeys([argument, argument.rstrip()]):
        try:
            if path and expanded_home(path).exists():
                return True
        except (OSError, ValueError):  # no name of a file
            continue
    return False


def unread_operators(text: str, names: Iterable[str]) -> str:
    """Return what kept the operators in a text from being read as such: for errors; "" for none.

    A source that exists holds its characters on purpose.
    """
    head = text.partition("?")[0]
    scheme = SCHEME.match(head)
    if path_exists(head[scheme.end() if scheme else 0 :]):
        return ""
    if "+" in head:
        name = re.split(r"[+?\[,)]", head)[-1].strip()
        similar = nearest(name, [*names, COLOUR], most=1)
        hint = f" (the nearest is {similar[0]!r})" if similar else ""
        return f"; {name!r} behind '+' is no concept set{hint}, so '+' was read as part of the name"
    if "[" in head:
        return (
            "; brackets select a part of a set where they are closed and stand at its end, as in "
            "SET[object,split=val]"
        )
    return ""
