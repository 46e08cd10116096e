"""The eleven colour names as regions of RGB, and the shades that the scenes are painted in.

Every tint is a ramp of 256 shades that stays inside the region of its colour name, so light, shadow and noise move a
pixel along its ramp and can never change its name.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

COLORS = ("black", "blue", "brown", "grey", "green", "orange", "pink", "purple", "red", "white", "yellow")
SHADES = 256

_RGB = tuple[int, int, int]
_RAMPS: dict[str, tuple[tuple[_RGB, _RGB], ...]] = {  # darkest and lightest shade of each tint
    "black": (((0, 0, 0), (52, 52, 54)), ((4, 6, 20), (44, 46, 64)), ((10, 4, 2), (60, 50, 46))),
    "blue": (
        ((10, 20, 70), (80, 130, 235)),
        ((40, 90, 150), (150, 205, 245)),
        ((10, 60, 90), (80, 190, 215)),
        ((100, 150, 200), (190, 225, 250)),
    ),
    "brown": (
        ((58, 34, 18), (168, 112, 70)),
        ((70, 36, 20), (150, 84, 48)),
        ((90, 70, 48), (180, 146, 108)),
        ((120, 80, 50), (196, 156, 118)),
    ),
    "grey": (((82, 82, 84), (186, 186, 188)), ((80, 86, 96), (166, 174, 186)), ((84, 80, 74), (184, 178, 168))),
    "green": (
        ((14, 50, 14), (110, 190, 70)),
        ((20, 70, 30), (90, 200, 110)),
        ((50, 60, 16), (160, 180, 80)),
        ((14, 66, 48), (104, 200, 148)),
    ),
    "orange": (((170, 66, 0), (255, 170, 60)), ((190, 90, 10), (255, 180, 90)), ((200, 130, 80), (255, 205, 160))),
    "pink": (((160, 60, 100), (255, 175, 205)), ((190, 70, 130), (255, 160, 220)), ((200, 120, 120), (255, 205, 200))),
    "purple": (((50, 10, 70), (180, 110, 220)), ((70, 20, 90), (200, 140, 230)), ((60, 0, 60), (180, 60, 180))),
    "red": (((84, 4, 10), (250, 50, 50)), ((110, 10, 0), (240, 70, 40)), ((90, 0, 24), (228, 30, 70))),
    "white": (((200, 202, 206), (255, 255, 255)), ((206, 202, 194), (255, 253, 246))),
    "yellow": (((170, 140, 0), (255, 240, 70)), ((190, 160, 40), (255, 240, 140)), ((190, 170, 100), (250, 236, 170))),
}

TINTS: dict[str, tuple[int, ...]] = {}  # the numbers of the tints of a colour
for _name in COLORS:
    _first = sum(len(tints) for tints in TINTS.values())
    TINTS[_name] = tuple(range(_first, _first + len(_RAMPS[_name])))

TINTS["skin"] = (*TINTS["brown"], TINTS["orange"][2], TINTS["pink"][2])  # names for what has its own colours
TINTS["grass"] = TINTS["green"][:3]
TINTS["sea"] = (*TINTS["blue"][:3], TINTS["green"][3])
TINTS["sky"] = (TINTS["blue"][0], TINTS["blue"][1], TINTS["blue"][3])
TINTS["sand"] = (TINTS["yellow"][1], TINTS["yellow"][2], TINTS["brown"][3], TINTS["orange"][2])
COLOR_OF_TINT = np.array([COLORS.index(name) for name in COLORS for _ in TINTS[name]])  # (tint,)
_HUES = (  # upper ends of the hue sectors, 256 to 60 degrees
    (60, "red"),
    (180, "orange"),
    (280, "yellow"),
    (770, "green"),
    (1100, "blue"),
    (1330, "purple"),
    (1450, "pink"),
    (1536, "red"),
)
_LEAST_CHROMA = 30  # below it a colour is black, grey or white


@cache
def shades() -> npt.NDArray[np.uint8]:
    """Every shade that a scene can hold, as (tint, shade, RGB)."""
    ends = np.array([ramp for name in COLORS for ramp in _RAMPS[name]])  # (tint, end, RGB)
    step = np.arange(SHADES)[None, :, None]
    ramps: npt.NDArray[np.int64] = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * step // (SHADES - 1)
    return ramps.astype(np.uint8)


def color_name_of(rgb: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """The colour name of each pixel, as an index into ``COLORS``.

    Parameters
    ----------
    rgb
        ``(…, 3)`` values 0 to 255.

    The eleven regions are disjoint and cover RGB. Computed in integers, so it answers the same on every machine.
    """
    red, green, blue = np.moveaxis(np.asarray(rgb).astype(np.int32), -1, 0)
    most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    chroma = most - least
    names = _name_of_hue(_hue(red, green, blue, most, chroma))
    warm = (names == COLORS.index("orange")) & (most + chroma < 300)
    pale = (names == COLORS.index("red")) & (2 * least > most)
    names = np.where(warm, COLORS.index("brown"), np.where(pale, COLORS.index("pink"), names))
    colorless = (chroma < _LEAST_CHROMA) | (most < 34)
    return np.where(colorless, _name_of_grey(most, least), names)


def _hue(
    red: npt.NDArray[np.int32],
    green: npt.NDArray[np.int32],
    blue: npt.NDArray[np.int32],
    most: npt.NDArray[np.int32],
    chroma: npt.NDArray[np.int32],
) -> npt.NDArray[np.int32]:
    spread = np.maximum(chroma, 1)
    from_red = ((green - blue) * 256 // spread) % 1536
    from_green = 512 + (blue - red) * 256 // spread
    from_blue = 1024 + (red - green) * 256 // spread
    return np.where(most == red, from_red, np.where(most == green, from_green, from_blue))


def _name_of_hue(hue: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    sector = np.searchsorted([end for end, _ in _HUES], hue, side="right")
    return np.array([COLORS.index(name) for _, name in _HUES], dtype=np.intp)[sector]


def _name_of_grey(most: npt.NDArray[np.int32], least: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    light = np.where(least >= 190, COLORS.index("white"), COLORS.index("grey"))
    return np.where(most < 72, COLORS.index("black"), light)
