"""Materials as relief: the change of shade at each pixel of a surface.

A relief is a function of whole coordinates ``(v, u)``, 64 to a cell: a brick is one cell high.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nd_shapes.noise import Ints, clouds, grain, sample, scatter

Relief = Callable[[Ints, Ints], Ints]


def _soft(v: Ints, u: Ints) -> Ints:
    """Return soft noise, -128 to 127, with features about a cell wide."""
    return sample(clouds(), v, u) - 128


def _rough(v: Ints, u: Ints) -> Ints:
    """Return white noise, -128 to 127."""
    return sample(grain(), v, u)


def brick(v: Ints, u: Ints) -> Ints:
    """Draw courses of bricks of various shades, with joints between them."""
    course = v // 64
    along = u + 64 * (course & 1)
    joint = (v % 64 < 10) | (along % 128 < 10)
    shade_of_brick = scatter(course, along // 128) // 4 - 10
    return np.where(joint, -70, shade_of_brick)


def stone(v: Ints, u: Ints) -> Ints:
    """Draw a rough surface with soft blotches."""
    blotches = _soft(v, u) * 3 // 4
    return blotches + _rough(v // 16, u // 16) // 8


def concrete(v: Ints, u: Ints) -> Ints:
    """Draw an even surface with a fine grain."""
    blotches = _soft(v // 2, u // 2) // 4
    return blotches + _rough(v // 8, u // 8) // 10


def wood(v: Ints, u: Ints) -> Ints:
    """Draw planks one cell high, with grain along them and gaps between them."""
    plank = v // 64
    gap = v % 64 < 6
    streaks = _soft(v * 2 + 90 * plank, u // 4) * 2 // 3
    shade_of_plank = scatter(plank, plank) // 8
    return np.where(gap, -60, streaks + shade_of_plank - 16)


def metal(v: Ints, u: Ints) -> Ints:
    """Draw broad soft reflections."""
    wave: Ints = np.abs((v * 2 + u // 3) % 256 - 128) // 4 - 16
    return wave


def glass(v: Ints, u: Ints) -> Ints:
    """Draw bright slanting reflections: a broad one and a narrow one, again and again."""
    slant = (u + v) % 192
    broad = slant < 44
    narrow = (slant > 60) & (slant < 72)
    return np.where(broad | narrow, 56, 0)


def fabric(v: Ints, u: Ints) -> Ints:
    """Draw soft folds and a fine weave."""
    weave = ((v >> 2) ^ (u >> 2)) & 1
    return _soft(v // 2, u) // 4 + 8 * weave - 4


def fur(v: Ints, u: Ints) -> Ints:
    """Draw short upright hairs in soft tufts."""
    hairs = _soft(v, u * 4) // 2
    tufts = _soft(v // 2, u // 2) // 4
    return hairs + tufts


def hair(v: Ints, u: Ints) -> Ints:
    """Draw long upright strands."""
    return _soft(v // 3, u * 5) * 3 // 4


def foliage(v: Ints, u: Ints) -> Ints:
    """Draw leaves as clumps of light and dark."""
    clumps = _soft(v, u) // 2
    leaves = _soft(v * 3, u * 3) // 2
    return clumps + leaves


def water(v: Ints, u: Ints) -> Ints:
    """Draw ripples, wider than high."""
    return _soft(v * 2, u // 3) * 2 // 3


def leather(v: Ints, u: Ints) -> Ints:
    """Draw soft creases and a fine grain."""
    creases = _soft(v // 2, u // 2) // 4
    fine_grain = _soft(v * 4, u * 4) // 8
    return creases + fine_grain


def smooth(v: Ints, u: Ints) -> Ints:
    """Draw hardly any relief: skin, paper, food."""
    return _soft(v // 2, u // 2) // 8


def glossy(v: Ints, u: Ints) -> Ints:
    """Draw next to no relief: light alone models ceramic and plastic."""
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
