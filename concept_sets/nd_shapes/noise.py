"""Chance: a dice for the scenes and two tiles of noise for their surfaces.

Only what Python and NumPy promise to keep stable is used: ``random.random()`` and integer arithmetic.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.signedinteger[Any]]
Bools = npt.NDArray[np.bool_]
T = TypeVar("T")
TILE = 512


class Dice:
    """Draws that depend on a text alone, the same under every Python version."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed).random

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return low + int(self._random() * (high - low + 1))

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return self.whole(1, 100) <= percent

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[self.whole(0, len(choices) - 1)]


def sample(tile: Ints, v: Ints, u: Ints) -> Ints:
    """A tile, repeated without end, at the rows ``v`` (row, 1) and the columns ``u`` (1, column)."""
    rows: Ints = tile.take(v[:, 0] % TILE, axis=0)
    window: Ints = rows.take(u[0] % TILE, axis=1)
    return window


def scatter(row: Ints, column: Ints) -> Ints:
    """A number 0 to 255 for each whole position, without any visible order."""
    start = row.astype(np.uint32) * np.uint32(374761393) + column.astype(np.uint32) * np.uint32(668265263)
    mixed = (start ^ (start >> np.uint32(13))) * np.uint32(1274126177)
    byte: npt.NDArray[np.uint32] = (mixed ^ (mixed >> np.uint32(16))) & np.uint32(255)
    return byte.astype(np.int16)


@cache
def grain() -> Ints:
    """White noise, -128 to 127, as a tile of (row, column)."""
    row, column = np.ogrid[:TILE, :TILE]
    noise: Ints = scatter(row, column) - 128
    return noise


@cache
def clouds() -> Ints:
    """Soft noise, 0 to 255, as a tile of (row, column) that continues itself on every side."""
    return ((4 * _octave(16) + 2 * _octave(32) + _octave(64) + _octave(128)) // 8).astype(np.int16)


@cache
def patches() -> Ints:
    """Softer noise, 0 to 255, of larger features, as a tile like that of ``clouds``."""
    return ((6 * _octave(8) + _octave(16) + _octave(32)) // 8).astype(np.int16)


def _octave(knots: int) -> Ints:
    """Noise on a coarse lattice, interpolated linearly."""
    position = np.arange(TILE, dtype=np.int32) * knots
    low, part = position // TILE, position % TILE
    high = (low + 1) % knots
    row, column = np.ogrid[:knots, :knots]
    lattice = scatter(row + 77 * knots, column).astype(np.int32)
    across: Ints = (lattice[:, low] * (TILE - part) + lattice[:, high] * part) // TILE
    noise: Ints = (across[low] * (TILE - part)[:, None] + across[high] * part[:, None]) // TILE
    return noise
