"""Outlines of masks: filled again, they are the same masks to the pixel."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from nd_plugin.site.mask_paths import darkened_path, outline_path, region

Mask = npt.NDArray[np.bool_]


def filled(path: str, rows: int, columns: int) -> Mask:
    """Pixels inside a path of ``M``, ``h``, ``v`` and ``z``, by the rule ``evenodd``.

    A pixel is inside where an odd number of vertical lines lies to the left of its centre.
    """
    crossings = np.zeros((rows, columns), np.int64)
    for loop in re.findall(r"M([^z]*)z", path):
        start, *moves = re.findall(r"-?\d+ -?\d+|[hv]-?\d+", loop)
        x, y = map(int, start.split())
        first = (x, y)
        corners = [first]
        for move in moves:
            length = int(move[1:])
            x, y = (x + length, y) if move[0] == "h" else (x, y + length)
            corners.append((x, y))
        corners.append(first)
        for (x0, y0), (x1, y1) in pairwise(corners):
            assert x0 == x1 or y0 == y1, "lines follow the edges of pixels"
            top, bottom = max(min(y0, y1), 0), min(max(y0, y1), rows)
            if x0 == x1 and bottom > top:
                crossings[top:bottom, max(x0, 0) :] += 1
    return crossings % 2 == 1


def masks() -> list[Mask]:
    random = np.random.default_rng(0)
    ring = np.ones((5, 7), bool)
    ring[2, 3] = False
    diagonal = np.eye(4, dtype=bool)
    return [
        np.zeros((3, 4), bool),
        np.ones((3, 4), bool),
        np.ones((1, 1), bool),
        ring,
        diagonal,
        diagonal[::-1],
        *(random.random((rows, 9)) < 0.5 for rows in (1, 2, 8, 30)),
    ]


@pytest.mark.parametrize("mask", masks())
def test_the_outline_encloses_the_mask(mask: Mask) -> None:
    np.testing.assert_array_equal(filled(outline_path(mask), *mask.shape), mask)


@pytest.mark.parametrize("mask", masks())
def test_all_else_is_darkened(mask: Mask) -> None:
    np.testing.assert_array_equal(filled(darkened_path(mask), *mask.shape), ~mask)


def test_an_outline_is_as_short_as_it_can_be() -> None:
    mask = np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]], bool)
    assert outline_path(mask) == "M1 1h2v2h-2z"
    assert outline_path(np.zeros((2, 2), bool)) == ""


def test_a_region_has_the_size_of_its_mask() -> None:
    svg = str(region(np.zeros((3, 4), bool)))
    assert 'viewBox="0 0 4 3"' in svg and 'class="region"' in svg
    assert "style" not in svg, "refused by the pages' policy"
