"""Chance: dice for the scenes and tiles of noise for their surfaces.

Only functions that Python and NumPy promise to keep stable are used: ``random.random()`` and
integer arithmetic.
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
Choice = TypeVar("Choice")
TILE = 512  # pixels a side of a tile of noise


class Dice:
    """Random draws that depend on a text alone, the same under every Python version."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed).random

    def whole(self, low: int, high: int) -> int:
        """Draw a whole number from ``low`` to ``high``, both included."""
        return low + int(self._random() * (high - low + 1))

    def chance(self, percent: int) -> bool:
        """Draw True in this percentage of cases."""
        return self.whole(1, 100) <= percent

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Draw one of the choices."""
        return choices[self.whole(0, len(choices) - 1)]


def sample(tile: Ints, v: Ints, u: Ints) -> Ints:
    """Read an endlessly repeated tile at rows ``v`` (row, 1) and columns ``u`` (1, column)."""
    rows: Ints = tile.take(v[:, 0] % TILE, axis=0)
    window: Ints = rows.take(u[0] % TILE, axis=1)
    return window


def scatter(row: Ints, column: Ints) -> Ints:
    """Return a number from 0 to 255 for each position: a hash, so without any visible order."""
    mixed = row.astype(np.uint32) * np.uint32(374761393)
    mixed = mixed + column.astype(np.uint32) * np.uint32(668265263)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(1274126177)
    mixed = mixed ^ (mixed >> np.uint32(16))
    low_byte: npt.NDArray[np.uint32] = mixed & np.uint32(255)
    return low_byte.astype(np.int16)


@cache
def grain() -> Ints:
    """Return a tile (row, column) of white noise, -128 to 127."""
    row, column = np.ogrid[:TILE, :TILE]
    noise: Ints = scatter(row, column) - 128
    return noise


@cache
def clouds() -> Ints:
    """Return a tile (row, column) of soft noise, 0 to 255, that continues on every side."""
    octaves = 4 * _octave(16) + 2 * _octave(32) + _octave(64) + _octave(128)
    return (octaves // 8).astype(np.int16)


@cache
def patches() -> Ints:
    """Return a tile like that of ``clouds``, with larger features."""
    octaves = 6 * _octave(8) + _octave(16) + _octave(32)
    return (octaves // 8).astype(np.int16)


def _octave(knots: int) -> Ints:
    """Return a tile of noise on a lattice of ``knots`` a side, interpolated linearly."""
    position = np.arange(TILE, dtype=np.int32) * knots
    low = position // TILE
    high = (low + 1) % knots
    weight = position % TILE  # of the higher knot, out of TILE
    row, column = np.ogrid[:knots, :knots]
    lattice = scatter(row + 77 * knots, column).astype(np.int32)
    across: Ints = lattice[:, low] * (TILE - weight) + lattice[:, high] * weight
    across = across // TILE  # (knot, column)
    down_weight = weight[:, None]
    noise: Ints = across[low] * (TILE - down_weight) + across[high] * down_weight
    return noise // TILE
