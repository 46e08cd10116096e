"""Eleven colour names as regions of RGB, and the shades that the scenes are painted in.

Every tint is a ramp of 256 shades that stays inside the region of its colour name. Light, shadow
and noise move a pixel along its ramp, so they can never change its colour name.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from nd_plugin.reading import COLOR_TERMS

COLORS = COLOR_TERMS
SHADES = 256

_Ints = npt.NDArray[np.int32]
_RGB = tuple[int, int, int]
# darkest and lightest shade of each tint
_RAMPS: dict[str, tuple[tuple[_RGB, _RGB], ...]] = {
    "black": (
        ((0, 0, 0), (52, 52, 54)),
        ((4, 6, 20), (44, 46, 64)),
        ((10, 4, 2), (60, 50, 46)),
    ),
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
    "grey": (
        ((82, 82, 84), (186, 186, 188)),
        ((80, 86, 96), (166, 174, 186)),
        ((84, 80, 74), (184, 178, 168)),
    ),
    "green": (
        ((14, 50, 14), (110, 190, 70)),
        ((20, 70, 30), (90, 200, 110)),
        ((50, 60, 16), (160, 180, 80)),
        ((14, 66, 48), (104, 200, 148)),
    ),
    "orange": (
        ((170, 66, 0), (255, 170, 60)),
        ((190, 90, 10), (255, 180, 90)),
        ((200, 130, 80), (255, 205, 160)),
    ),
    "pink": (
        ((160, 60, 100), (255, 175, 205)),
        ((190, 70, 130), (255, 160, 220)),
        ((200, 120, 120), (255, 205, 200)),
    ),
    "purple": (
        ((50, 10, 70), (180, 110, 220)),
        ((70, 20, 90), (200, 140, 230)),
        ((60, 0, 60), (180, 60, 180)),
    ),
    "red": (
        ((84, 4, 10), (250, 50, 50)),
        ((110, 10, 0), (240, 70, 40)),
        ((90, 0, 24), (228, 30, 70)),
    ),
    "white": (
        ((200, 202, 206), (255, 255, 255)),
        ((206, 202, 194), (255, 253, 246)),
    ),
    "yellow": (
        ((170, 140, 0), (255, 240, 70)),
        ((190, 160, 40), (255, 240, 140)),
        ((190, 170, 100), (250, 236, 170)),
    ),
}

_TINTS_OF_COLORS = [len(_RAMPS[name]) for name in COLORS]
COLOR_OF_TINT = np.repeat(np.arange(len(COLORS)), _TINTS_OF_COLORS)  # (tint,)
TINTS: dict[str, tuple[int, ...]] = {}  # numbers of the tints of a colour
for _index, _name in enumerate(COLORS):
    TINTS[_name] = tuple(np.flatnonzero(_index == COLOR_OF_TINT).tolist())

# Names for things that have colours of their own
TINTS["skin"] = (*TINTS["brown"], TINTS["orange"][2], TINTS["pink"][2])
TINTS["grass"] = TINTS["green"][:3]
TINTS["sea"] = (*TINTS["blue"][:3], TINTS["green"][3])
TINTS["sky"] = (TINTS["blue"][0], TINTS["blue"][1], TINTS["blue"][3])
TINTS["sand"] = (
    TINTS["yellow"][1],
    TINTS["yellow"][2],
    TINTS["brown"][3],
    TINTS["orange"][2],
)
# of hue sectors, 256 to 60 degrees
_HUE_ENDS = (60, 180, 280, 770, 1100, 1330, 1450, 1536)
_HUE_NAMES = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "red")
_SMALLEST_CHROMA = 30  # a colour of less is black, grey or white


@cache
def shades() -> npt.NDArray[np.uint8]:
    """Return every shade that a scene can hold, as (tint, shade, RGB)."""
    # (tint, end, RGB)
    ends = np.array([ramp for name in COLORS for ramp in _RAMPS[name]])
    darkest = ends[:, :1]
    lightest = ends[:, 1:]
    step = np.arange(SHADES)[None, :, None]
    ramps: npt.NDArray[np.int64] = darkest + (lightest - darkest) * step // (
        SHADES - 1
    )
    return ramps.astype(np.uint8)


def color_name_of(rgb: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return the colour name of each pixel, as an index into ``COLORS``.

    The eleven regions are disjoint and cover RGB. They are computed in integers, so the result is
    the same on every machine.

    Parameters
    ----------
    rgb
        ``(…, 3)`` values 0 to 255.
    """
    channels: _Ints = np.asarray(rgb).astype(np.int32)
    brightest: _Ints = channels.max(axis=-1)
    darkest: _Ints = channels.min(axis=-1)
    chroma = brightest - darkest
    names = _name_of_hue(_hue(channels, brightest, chroma))
    is_brown = (names == COLORS.index("orange")) & (brightest + chroma < 300)
    is_pink = (names == COLORS.index("red")) & (2 * darkest > brightest)
    names = np.where(is_pink, COLORS.index("pink"), names)
    names = np.where(is_brown, COLORS.index("brown"), names)
    is_colorless = (chroma < _SMALLEST_CHROMA) | (brightest < 34)
    return np.where(is_colorless, _name_of_grey(brightest, darkest), names)


def _hue(channels: _Ints, brightest: _Ints, chroma: _Ints) -> _Ints:
    """Return the hue, 0 to 1535: 0 is red, 512 green, 1024 blue."""
    red, green, blue = np.moveaxis(channels, -1, 0)
    spread = np.maximum(chroma, 1)
    from_red = ((green - blue) * 256 // spread) % 1536
    from_green = 512 + (blue - red) * 256 // spread
    from_blue = 1024 + (red - green) * 256 // spread
    from_green_or_blue = np.where(brightest == green, from_green, from_blue)
    hue: _Ints = np.where(brightest == red, from_red, from_green_or_blue)
    return hue


def _name_of_hue(hue: _Ints) -> npt.NDArray[np.intp]:
    sector = np.searchsorted(_HUE_ENDS, hue, side="right")
    indices = [COLORS.index(name) for name in _HUE_NAMES]
    return np.array(indices, dtype=np.intp)[sector]


def _name_of_grey(brightest: _Ints, darkest: _Ints) -> npt.NDArray[np.intp]:
    white_or_grey = np.where(
        darkest >= 190, COLORS.index("white"), COLORS.index("grey")
    )
    return np.where(brightest < 72, COLORS.index("black"), white_or_grey)
