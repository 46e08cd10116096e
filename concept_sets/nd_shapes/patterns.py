"""Textures in two inks, by the names of the Describable Textures Dataset.

A pattern is a function of whole coordinates ``(v, u)``, 64 to a period. It is true for the pixels
of the second ink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nd_shapes.noise import Bools, Ints, patches, sample, scatter

Pattern = Callable[[Ints, Ints], Bools]


def banded(v: Ints, u: Ints) -> Bools:
    """Draw broad horizontal bands, every second one narrower."""
    phase = v % 96
    return _everywhere(v, u) & ((phase < 40) | (phase > 76))


def blotchy(v: Ints, u: Ints) -> Bools:
    """Draw irregular patches, as on a cow."""
    dark: Bools = sample(patches(), v, u) > 132
    return dark


def chequered(v: Ints, u: Ints) -> Bools:
    """Draw a chessboard."""
    return _odd((v >> 5) ^ (u >> 5))


def crosshatched(v: Ints, u: Ints) -> Bools:
    """Draw thin lines along both diagonals."""
    return ((u + v) % 64 < 13) | ((u - v) % 64 < 13)


def grid(v: Ints, u: Ints) -> Bools:
    """Draw thin lines along rows and columns."""
    return (u % 64 < 12) | (v % 64 < 12)


def honeycombed(v: Ints, u: Ints) -> Bools:
    """Draw the walls between hexagonal cells."""
    distance = np.minimum(_hexagon(v, u), _hexagon(v + 55, u + 32))
    return distance > 26


def polka_dotted(v: Ints, u: Ints) -> Bools:
    """Draw round dots, every second row of them shifted by half a period."""
    shifted = u + 32 * ((v // 56) & 1)
    across = shifted % 64 - 32
    down = v % 56 - 28
    return across**2 + down**2 < 300


def scaly(v: Ints, u: Ints) -> Bools:
    """Draw the rims of overlapping scales."""
    upper = _rim(v, u)
    lower = _rim(v + 32, u + 32)
    return np.where(v % 64 < 32, upper, lower)


def sprinkled(v: Ints, u: Ints) -> Bools:
    """Draw small flecks strewn at random."""
    has_fleck = scatter(v // 24, u // 24) < 90  # by cell of a grid
    down = v % 24 - 12
    across = u % 24 - 12
    return has_fleck & (down**2 + across**2 < 64)


def striped(v: Ints, u: Ints) -> Bools:
    """Draw upright stripes, as wide as the gaps between them."""
    return _everywhere(v, u) & _odd(u >> 5)


def woven(v: Ints, u: Ints) -> Bools:
    """Draw strands that pass over and under one another."""
    is_level_strand = chequered(v, u)
    return np.where(is_level_strand, v % 16 < 5, u % 16 < 5)


def zigzagged(v: Ints, u: Ints) -> Bools:
    """Draw bands that go up and down."""
    rise = np.abs(u % 64 - 32)
    return _odd((v + rise) >> 5)


def _odd(count: Ints) -> Bools:
    odd: Bools = count % 2 == 1
    return odd


def _everywhere(v: Ints, u: Ints) -> Bools:
    """Return True for all pixels, to give a pattern of one coordinate its full shape."""
    return np.ones(np.broadcast_shapes(v.shape, u.shape), dtype=np.bool_)


def _hexagon(v: Ints, u: Ints) -> Ints:
    """Return the distance to the nearest centre of a lattice of hexagons, 64 wide, 110 high."""
    down = np.abs(v % 110 - 55)
    across = np.abs(u % 64 - 32)
    distance: Ints = np.maximum(across, (across + 2 * down * 111 // 128) // 2)
    return distance


def _rim(v: Ints, u: Ints) -> Bools:
    """Return the ring round a scale's centre, in the middle of a period's upper side."""
    squared_radius = (u % 64 - 32) ** 2 + (v % 64) ** 2
    return (squared_radius > 650) & (squared_radius < 1100)


PATTERNS: Mapping[str, Pattern] = {
    "banded": banded,
    "blotchy": blotchy,
    "chequered": chequered,
    "crosshatched": crosshatched,
    "grid": grid,
    "honeycombed": honeycombed,
    "polka-dotted": polka_dotted,
    "scaly": scaly,
    "sprinkled": sprinkled,
    "striped": striped,
    "woven": woven,
    "zigzagged": zigzagged,
}
