"""The canvas: image and truth are painted by the same stroke, so they cannot disagree.

A pixel holds three numbers: its surface (which object, part, material and texture it shows), its tint (a ramp of shades
of one colour name) and its shade. The image is looked up from tint and shade, the truth from surface and tint; light
and noise change shades only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from nd_shapes.materials import RELIEFS
from nd_shapes.noise import TILE, Dice, Ints, grain
from nd_shapes.palette import COLOR_OF_TINT, SHADES, shades
from nd_shapes.patterns import PATTERNS
from nd_shapes.raster import ONE, Stamp

Light = Literal["flat", "round", "tube", "fall"]  # from the upper left; on a sphere; on a tube; brighter downwards
_LEAST_PERIOD = 5 * ONE  # a finer texture would be lost between the pixels


@dataclass(frozen=True)
class Coat:
    """What a surface is covered with."""

    material: str  # "" for sky, sand and snow
    tint: int
    level: int  # mean shade, 0 to 255
    cell: int  # size of the material's relief, as lengths in ``raster``
    origin: tuple[int, int]  # x, y from which relief and texture count
    light: Light = "flat"
    texture: str = ""
    ink: int = 0  # the texture's second tint
    period: int = ONE  # of the texture

    def shaded(self, change: int) -> Coat:
        """The same coat, lighter or darker."""
        return replace(self, level=self.level + change)


@dataclass(frozen=True)
class Surface:
    """The labels that all pixels of a surface share; "" is no label."""

    object: str
    part: str = ""
    subpart: str = ""  # a part of the part: the eye of a head
    material: str = ""
    texture: str = ""


class Canvas:
    """A picture and its truth, in progress.

    Parameters
    ----------
    size
        ``(height, width)`` in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.surfaces: dict[Surface, int] = {Surface(""): 0}
        self.surface = np.zeros(size, dtype=np.int32)  # (row, column)
        self._tint = np.zeros(size, dtype=np.uint8)  # (row, column)
        self._shade = np.zeros(size, dtype=np.int16)  # (row, column)

    def paint(self, stamp: Stamp, coat: Coat, surface: Surface) -> None:
        """Cover the pixels of a stamp."""
        if not stamp.mask.size:
            return
        number = self.surfaces.setdefault(surface, len(self.surfaces))
        down, across = stamp.centres()
        y, x = (down - coat.origin[1]) * 64, (across - coat.origin[0]) * 64
        shade = coat.level + RELIEFS[coat.material](y // coat.cell, x // coat.cell) + _light(coat.light, stamp)
        tint = _inks(coat, y, x) if coat.texture else np.uint8(coat.tint)
        window, mask = stamp.window, stamp.mask
        np.copyto(self.surface[window], np.int32(number), where=mask)
        np.copyto(self._tint[window], tint, where=mask)
        np.copyto(self._shade[window], _small(shade), where=mask)

    def lighten(self, stamp: Stamp, change: int) -> None:
        """Throw light (or, below 0, shadow) on what is already painted."""
        self._shade[stamp.window] += stamp.mask * np.int16(change)

    def finish(self, dice: Dice) -> None:
        """Deepen the edges, light the whole from one side and add the grain of a camera."""
        edge = np.zeros(self.size, dtype=np.bool_)
        edge[:, 1:] |= self.surface[:, 1:] != self.surface[:, :-1]
        edge[1:] |= self.surface[1:] != self.surface[:-1]
        self._shade -= edge * np.int16(34)
        height, width = self.size
        slope_y, slope_x = dice.whole(-24, 24), dice.whole(-24, 24)
        row, column = np.ogrid[:height, :width]
        self._shade += (row * slope_y // height + column * slope_x // width).astype(np.int16)
        top, left = dice.whole(0, TILE - 1), dice.whole(0, TILE - 1)
        noise = grain()[(row + top) % TILE, (column + left) % TILE]
        self._shade += (noise * dice.whole(2, 12) // 128).astype(np.int16)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The picture as (row, column, RGB)."""
        ramps = shades()
        place = self._tint.astype(np.intp) * SHADES + np.clip(self._shade, 0, SHADES - 1)
        return ramps.reshape(-1, 3).take(place, axis=0)

    def colors(self) -> npt.NDArray[np.intp]:
        """The colour names as indices into ``palette.COLORS``, (row, column)."""
        return COLOR_OF_TINT.take(self._tint)


def _inks(coat: Coat, y: Ints, x: Ints) -> npt.NDArray[np.uint8]:
    period = max(coat.period, _LEAST_PERIOD)
    second = PATTERNS[coat.texture](y // period, x // period)
    return np.where(second, np.uint8(coat.ink), np.uint8(coat.tint))


def _light(kind: Light, stamp: Stamp) -> Ints:
    """How the light shapes a surface: changes of shade."""
    down, across = stamp.centres()
    left, top, right, bottom = stamp.extent
    u = (2 * across - left - right) * 1024 // max(1, right - left)  # -1024 to 1024 across the extent
    v = (2 * down - top - bottom) * 1024 // max(1, bottom - top)
    if kind == "round":
        return 44 - _small((u + 400) ** 2 >> 15) - _small((v + 400) ** 2 >> 15)
    if kind == "tube":
        return 36 - _small((u + 300) ** 2 >> 14)
    return _small(v >> 5) if kind == "fall" else -_small(u >> 6) - _small(v >> 6)


def _small(numbers: Ints) -> npt.NDArray[np.int16]:
    """As 16 bits, the width of a shade: adding is then several times faster."""
    return numbers.astype(np.int16)
