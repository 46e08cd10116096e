"""Materials as relief: how far each pixel of a surface lies above or below its shade.

A relief is a function of whole coordinates ``(v, u)``, 64 to a cell: a brick is one cell high.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nd_shapes.noise import Ints, clouds, grain, sample, scatter

Relief = Callable[[Ints, Ints], Ints]


def _soft(v: Ints, u: Ints) -> Ints:
    """Soft noise, -128 to 127, features about a cell wide."""
    return sample(clouds(), v, u) - 128


def _rough(v: Ints, u: Ints) -> Ints:
    return sample(grain(), v, u)


def brick(v: Ints, u: Ints) -> Ints:
    """Courses of bricks with joints between them, no two bricks alike."""
    course = v // 64
    along = u + 64 * (course & 1)
    joint = (v % 64 < 10) | (along % 128 < 10)
    return np.where(joint, -70, scatter(course, along // 128) // 4 - 10)


def stone(v: Ints, u: Ints) -> Ints:
    """Rough, with soft blotches."""
    return _soft(v, u) * 3 // 4 + _rough(v // 16, u // 16) // 8


def concrete(v: Ints, u: Ints) -> Ints:
    """Even, with a fine grain."""
    return _soft(v // 2, u // 2) // 4 + _rough(v // 8, u // 8) // 10


def wood(v: Ints, u: Ints) -> Ints:
    """Planks one cell high with grain along them."""
    plank = v // 64
    streaks = _soft(v * 2 + 90 * plank, u // 4) * 2 // 3
    return np.where(v % 64 < 6, -60, streaks + scatter(plank, plank) // 8 - 16)


def metal(v: Ints, u: Ints) -> Ints:
    """Smooth, with broad soft reflections."""
    wave: Ints = np.abs((v * 2 + u // 3) % 256 - 128) // 4 - 16
    return wave


def glass(v: Ints, u: Ints) -> Ints:
    """Bright slanting reflections."""
    slant = (u + v) % 192
    return np.where((slant < 44) | ((slant > 60) & (slant < 72)), 56, 0)


def fabric(v: Ints, u: Ints) -> Ints:
    """Soft folds and a fine weave."""
    weave = ((v >> 2) ^ (u >> 2)) & 1
    return _soft(v // 2, u) // 4 + 8 * weave - 4


def fur(v: Ints, u: Ints) -> Ints:
    """Short upright hairs in soft tufts."""
    return _soft(v, u * 4) // 2 + _soft(v // 2, u // 2) // 4


def hair(v: Ints, u: Ints) -> Ints:
    """Long upright strands."""
    return _soft(v // 3, u * 5) * 3 // 4


def foliage(v: Ints, u: Ints) -> Ints:
    """Leaves: clumps of light and dark."""
    return _soft(v, u) // 2 + _soft(v * 3, u * 3) // 2


def water(v: Ints, u: Ints) -> Ints:
    """Ripples, wider than high."""
    return _soft(v * 2, u // 3) * 2 // 3


def leather(v: Ints, u: Ints) -> Ints:
    """Supple, with a fine grain."""
    return _soft(v // 2, u // 2) // 4 + _soft(v * 4, u * 4) // 8


def smooth(v: Ints, u: Ints) -> Ints:
    """Hardly any relief: skin, paper, food."""
    return _soft(v // 2, u // 2) // 8


def glossy(v: Ints, u: Ints) -> Ints:
    """Hardly any relief: the light alone shapes ceramic and plastic."""
    return _soft(v // 4, u // 4) // 16


RELIEFS: Mapping[str, Relief] = {
    "brick": brick,
    "ceramic": glossy,
    "concrete": concrete,
    "fabric": fabric,
    "feather": fur,
    "foliage": foliage,
    "food": smooth,
    "fur": fur,
    "glass": glass,
    "hair": hair,
    "leather": leather,
    "metal": metal,
    "paper": smooth,
    "plastic": glossy,
    "rubber": glossy,
    "skin": smooth,
    "stone": stone,
    "water": water,
    "wood": wood,
    "": smooth,  # sky, sand, snow: no material of their own
}
