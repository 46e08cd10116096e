"""Textures, by the names of the Describable Textures Dataset: two inks, and which of them a pixel takes.

A pattern is a function of whole coordinates ``(v, u)``, 64 to a period, that is true where the second ink goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nd_shapes.noise import Bools, Ints, patches, sample, scatter

Pattern = Callable[[Ints, Ints], Bools]


def banded(v: Ints, u: Ints) -> Bools:
    """Broad horizontal bands, every other one narrower."""
    return _everywhere(v, u) & ((v % 96 < 40) | (v % 96 > 76))


def blotchy(v: Ints, u: Ints) -> Bools:
    """Irregular patches, as on a cow."""
    dark: Bools = sample(patches(), v, u) > 132
    return dark


def chequered(v: Ints, u: Ints) -> Bools:
    """A chessboard."""
    return _odd((v >> 5) ^ (u >> 5))


def crosshatched(v: Ints, u: Ints) -> Bools:
    """Thin lines along both diagonals."""
    return ((u + v) % 64 < 13) | ((u - v) % 64 < 13)


def grid(v: Ints, u: Ints) -> Bools:
    """Thin lines along rows and columns."""
    return (u % 64 < 12) | (v % 64 < 12)


def honeycombed(v: Ints, u: Ints) -> Bools:
    """The walls between hexagonal cells."""
    return np.minimum(_hexagon(v, u), _hexagon(v + 55, u + 32)) > 26


def polka_dotted(v: Ints, u: Ints) -> Bools:
    """Round dots, every other row moved by half a period."""
    shifted = u + 32 * ((v // 56) & 1)
    return (shifted % 64 - 32) ** 2 + (v % 56 - 28) ** 2 < 300


def scaly(v: Ints, u: Ints) -> Bools:
    """The rims of overlapping scales."""
    upper, lower = _rim(v, u), _rim(v + 32, u + 32)
    return np.where(v % 64 < 32, upper, lower)


def sprinkled(v: Ints, u: Ints) -> Bools:
    """Small flecks strewn at random."""
    row, column = v // 24, u // 24
    chosen = scatter(row, column) < 90
    return chosen & ((v % 24 - 12) ** 2 + (u % 24 - 12) ** 2 < 64)


def striped(v: Ints, u: Ints) -> Bools:
    """Upright stripes, as wide as the gaps between them."""
    return _everywhere(v, u) & _odd(u >> 5)


def woven(v: Ints, u: Ints) -> Bools:
    """Strands that pass over and under one another."""
    over = chequered(v, u)
    return np.where(over, (v % 32) % 16 < 5, (u % 32) % 16 < 5)


def zigzagged(v: Ints, u: Ints) -> Bools:
    """Bands that go up and down."""
    return _odd((v + np.abs(u % 64 - 32)) >> 5)


def _odd(count: Ints) -> Bools:
    odd: Bools = count % 2 == 1
    return odd


def _everywhere(v: Ints, u: Ints) -> Bools:
    return np.ones(np.broadcast_shapes(v.shape, u.shape), dtype=np.bool_)


def _hexagon(v: Ints, u: Ints) -> Ints:
    """Distance to the nearest centre of a lattice of hexagons, 64 wide and 110 high."""
    down, across = np.abs(v % 110 - 55), np.abs(u % 64 - 32)
    distance: Ints = np.maximum(across, (across + 2 * down * 111 // 128) // 2)
    return distance


def _rim(v: Ints, u: Ints) -> Bools:
    square = (u % 64 - 32) ** 2 + (v % 64) ** 2
    return (square > 650) & (square < 1100)


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
