"""Canvas: image and labels are painted by the same stroke, so that they cannot disagree.

A pixel holds three numbers: its surface (object, part, material and texture), its tint (a ramp of
shades of one colour name) and its shade. The image is looked up from tint and shade, the labels
from surface and tint. Light and noise change shades only.
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

Light = Literal["flat", "round", "tube", "fall"]
# flat: from the upper left; round: on a sphere; tube: on an upright tube; fall: brighter downwards
_SMALLEST_PERIOD = 5 * ONE  # a finer texture would be lost between the pixels
_EDGE_DARKENING = np.int16(34)


@dataclass(frozen=True)
class Coat:
    """Covering of a surface: material, colour, light and texture."""

    material: str  # "" for sky, sand and snow
    tint: int
    level: int  # mean shade, 0 to 255
    cell: int  # size of the material's relief, as lengths in ``raster``
    origin: tuple[int, int]  # x, y from which relief and texture count
    light: Light = "flat"
    texture: str = ""
    ink: int = 0  # second tint of the texture
    period: int = ONE  # of the texture

    def shaded(self, change: int) -> Coat:
        """Return the same coat, lighter or darker."""
        return replace(self, level=self.level + change)


@dataclass(frozen=True)
class Surface:
    """Labels that all pixels of a surface share; "" is no label."""

    object: str
    part: str = ""
    subpart: str = ""  # a part of the part: the eye of a head
    material: str = ""
    texture: str = ""


class Canvas:
    """Picture and labels, in progress.

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
        centre_y, centre_x = stamp.centres()
        origin_x, origin_y = coat.origin
        y = (centre_y - origin_y) * 64
        x = (centre_x - origin_x) * 64
        relief = RELIEFS[coat.material](y // coat.cell, x // coat.cell)
        shade = coat.level + relief + _light(coat.light, stamp)
        tint = _inks(coat, y, x) if coat.texture else np.uint8(coat.tint)
        window = stamp.window
        np.copyto(self.surface[window], np.int32(number), where=stamp.mask)
        np.copyto(self._tint[window], tint, where=stamp.mask)
        np.copyto(self._shade[window], _as_shades(shade), where=stamp.mask)

    def lighten(self, stamp: Stamp, change: int) -> None:
        """Cast light on the pixels of a stamp, or shadow if the change is below 0."""
        self._shade[stamp.window] += stamp.mask * np.int16(change)

    def finish(self, dice: Dice) -> None:
        """Darken the edges, light the picture from one side and add the grain of a camera."""
        self._darken_edges()
        self._light_from_one_side(dice)
        self._add_grain(dice)

    def _darken_edges(self) -> None:
        differs_from_left = self.surface[:, 1:] != self.surface[:, :-1]
        differs_from_above = self.surface[1:] != self.surface[:-1]
        edge = np.zeros(self.size, dtype=np.bool_)
        edge[:, 1:] |= differs_from_left
        edge[1:] |= differs_from_above
        self._shade -= edge * _EDGE_DARKENING

    def _light_from_one_side(self, dice: Dice) -> None:
        height, width = self.size
        slope_y = dice.whole(-24, 24)
        slope_x = dice.whole(-24, 24)
        row, column = np.ogrid[:height, :width]
        light = row * slope_y // height + column * slope_x // width
        self._shade += _as_shades(light)

    def _add_grain(self, dice: Dice) -> None:
        height, width = self.size
        row, column = np.ogrid[:height, :width]
        first_row = dice.whole(0, TILE - 1)
        first_column = dice.whole(0, TILE - 1)
        noise = grain()[(row + first_row) % TILE, (column + first_column) % TILE]
        strength = dice.whole(2, 12)
        self._shade += _as_shades(noise * strength // 128)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Return the picture as (row, column, RGB)."""
        shade = np.clip(self._shade, 0, SHADES - 1)
        index = self._tint.astype(np.intp) * SHADES + shade
        return shades().reshape(-1, 3).take(index, axis=0)

    def colors(self) -> npt.NDArray[np.intp]:
        """Return the colour names as indices into ``palette.COLORS``, (row, column)."""
        return COLOR_OF_TINT.take(self._tint)


def _inks(coat: Coat, y: Ints, x: Ints) -> npt.NDArray[np.uint8]:
    """Return the tint of each pixel of a texture."""
    period = max(coat.period, _SMALLEST_PERIOD)
    is_second_ink = PATTERNS[coat.texture](y // period, x // period)
    return np.where(is_second_ink, np.uint8(coat.ink), np.uint8(coat.tint))


def _light(kind: Light, stamp: Stamp) -> Ints:
    """Return the changes of shade by which light shows a surface's form."""
    v, u = stamp.positions(1024)
    if kind == "round":
        return (
            44 - _as_shades((u + 400) ** 2 >> 15) - _as_shades((v + 400) ** 2 >> 15)
        )
    if kind == "tube":
        return 36 - _as_shades((u + 300) ** 2 >> 14)
    if kind == "fall":
        return _as_shades(v >> 5)
    return -_as_shades(u >> 6) - _as_shades(v >> 6)


def _as_shades(numbers: Ints) -> npt.NDArray[np.int16]:
    """Convert to 16 bits, the width of a shade: adding is then several times faster."""
    return numbers.astype(np.int16)
