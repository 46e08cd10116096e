"""Outlines of masks as SVG paths, exact to the pixel, for pages without a script.

A picture of a page is an image below an SVG whose one path darkens what the mask leaves out, and
draws a line around it (`style.css`, class ``region``).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

Mask = npt.NDArray[np.bool_]
Corner = tuple[int, int]  # x and y of a corner of pixels
MARGIN = 9  # pixels from the view to the edge of what is darkened, whose line is not to be seen

REGION = Markup(
    '<svg class="region" viewBox="0 0 {columns} {rows}" preserveAspectRatio="none"'
    ' aria-hidden="true"><path d="{path}"/></svg>'
)


def region(mask: Mask) -> Markup:
    """Return an SVG that darkens all but a mask (row, column); it covers the picture below it."""
    rows, columns = mask.shape
    return REGION.format(columns=columns, rows=rows, path=darkened_path(mask))


def darkened_path(mask: Mask) -> str:
    """Return a path around the picture, then around the mask; to fill by the rule ``evenodd``."""
    rows, columns = mask.shape
    width = columns + 2 * MARGIN
    height = rows + 2 * MARGIN
    frame = f"M-{MARGIN} -{MARGIN}h{width}v{height}h-{width}z"
    return frame + outline_path(mask)


def outline_path(mask: Mask) -> str:
    """Return a path along the edges of a mask's pixels; empty for an empty mask.

    Two pixels in a row, the second and third of the second row, give ``M1 1h2v1h-2z``.
    """
    return "".join(map(_loop_path, _loops(_edges(mask))))


def _edges(mask: Mask) -> dict[Corner, list[Corner]]:
    """Return the edges between lit pixels and others: corners reached from each corner.

    They run clockwise around lit pixels.
    """
    padded = np.pad(mask, 1)
    lit = padded[1:-1, 1:-1]
    # each side of a pixel: whether its neighbour there is lit, where it begins and where it ends
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    edges: dict[Corner, list[Corner]] = {}
    for neighbour, begin, end in sides:
        for row, column in np.argwhere(lit & ~neighbour).tolist():
            start = (column + begin[0], row + begin[1])
            edges.setdefault(start, []).append((column + end[0], row + end[1]))
    return edges


def _loops(edges: dict[Corner, list[Corner]]) -> Iterator[list[Corner]]:
    """Yield closed ways along all edges, each edge once; empties ``edges``."""
    while edges:
        start = next(iter(edges))
        corner = start
        loop = [start]
        while corner in edges:
            ends = edges[corner]
            following = ends.pop()
            if not ends:
                del edges[corner]
            corner = following
            loop.append(corner)
        yield loop


def _loop_path(loop: list[Corner]) -> str:
    """Return a closed way as horizontal and vertical lines, as long as they can be."""
    x, y = loop[0]
    commands = [f"M{x} {y}"]
    line = (0, 0)
    for start, end in pairwise(loop):
        step = (end[0] - start[0], end[1] - start[1])
        if line[0] and step[1]:
            commands.append(f"h{line[0]}")
            line = (0, 0)
        elif line[1] and step[0]:
            commands.append(f"v{line[1]}")
            line = (0, 0)
        line = (line[0] + step[0], line[1] + step[1])
    # the last line is drawn by closing the path
    return "".join(commands) + "z"
