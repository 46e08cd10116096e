"""Groups of things that fit into memory together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def groups_by_size(
    items: Iterable[Item], size_of: Callable[[Item], int], limit: int
) -> Iterator[list[Item]]:
    """Divide items, in their order, into groups whose sizes add up to ``limit`` at most.

    A larger item is a group of its own.
    """
    group: list[Item] = []
    group_size = 0
    for item in items:
        size = size_of(item)
        if group and group_size + size > limit:
            yield group
            group = []
            group_size = 0
        group.append(item)
        group_size += size
    if group:
        yield group
