"""Groups of things that fit into memory together."""

from __future__ import annotations

import pytest

from nd_plugin.machine.size_groups import groups_by_size


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([3, 4, 3, 1], [[3, 4, 3], [1]]),
        ([4, 11, 4, 6], [[4], [11], [4, 6]]),
        ([10, 10], [[10], [10]]),
    ],
)
def test_groups_of_ten(sizes: list[int], groups: list[list[int]]) -> None:
    assert list(groups_by_size(sizes, int, 10)) == groups
