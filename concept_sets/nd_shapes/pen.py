"""The pen: draws one thing, in percent of the box that the thing stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nd_shapes import raster
from nd_shapes.canvas import Canvas, Coat, Light, Surface
from nd_shapes.noise import Dice
from nd_shapes.palette import COLORS, TINTS
from nd_shapes.patterns import PATTERNS

_ALIKE = (  # colours that a texture of both would not show
    {"black", "purple", "blue", "brown"},
    {"white", "yellow", "pink"},
    {"red", "orange", "brown", "pink", "purple"},
    {"grey", "blue", "green", "brown"},
    {"orange", "yellow"},
)


@dataclass(frozen=True)
class Pen:
    """A place on the canvas and the thing that is drawn there.

    Points and boxes are whole percents of the pen's own box, x to the right and y down; ``on`` names the part that a
    stroke belongs to, or the part and the part of the part: ``"head/eye"``.
    """

    canvas: Canvas
    dice: Dice
    box: raster.Box  # left, top, right, bottom
    thing: str = ""
    mirrored: bool = False

    def rect(self, left: int, top: int, right: int, bottom: int, coat: Coat, on: str = "") -> None:
        """Paint a rectangle."""
        self._paint(raster.rectangle(self._place((left, top, right, bottom)), self.canvas.size), coat, on)

    def oval(self, left: int, top: int, right: int, bottom: int, coat: Coat, on: str = "") -> None:
        """Paint an ellipse that touches the sides of a rectangle."""
        self._paint(raster.ellipse(self._place((left, top, right, bottom)), self.canvas.size), coat, on)

    def polygon(self, corners: Sequence[raster.Point], coat: Coat, on: str = "") -> None:
        """Paint the inside of a closed line."""
        self.polygons([corners], coat, on)

    def polygons(self, lines: Sequence[Sequence[raster.Point]], coat: Coat, on: str = "") -> None:
        """Paint the insides of closed lines that do not overlap, in one stroke."""
        placed = [[self._at(corner) for corner in line] for line in lines]
        self._paint(raster.polygons(placed, self.canvas.size), coat, on)

    def rects(self, boxes: Sequence[raster.Box], coat: Coat, on: str = "") -> None:
        """Paint rectangles that do not overlap, in one stroke."""
        self.polygons([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in boxes], coat, on)

    def blob(self, corners: Sequence[raster.Point], coat: Coat, on: str = "") -> None:
        """Paint the inside of a closed line with its corners rounded."""
        outline = raster.rounded([self._at(corner) for corner in corners])
        self._paint(raster.polygons([outline], self.canvas.size), coat, on)

    def lighten(self, left: int, top: int, right: int, bottom: int, change: int) -> None:
        """Throw light on an ellipse, or shadow where the change is below 0."""
        self.canvas.lighten(raster.ellipse(self._place((left, top, right, bottom)), self.canvas.size), change)

    def inset(self, left: int, top: int, right: int, bottom: int) -> Pen:
        """A pen for a smaller box within this one, for the same thing."""
        return replace(self, box=self._place((left, top, right, bottom)))

    def of(self, thing: str) -> Pen:
        """A pen for the same box that draws another thing."""
        return replace(self, thing=thing)

    def coat(self, material: str, *colors: str, level: int = 128, light: Light = "flat", cell: int = 16) -> Coat:
        """A plain coat, in one of some colours or in any.

        ``cell`` is the size of the material's relief, in percent of the shorter side of the box.
        """
        tint = self.dice.pick(TINTS[self.dice.pick(colors or COLORS)])
        level += self.dice.whole(-20, 20)
        left, top, _, _ = self.box
        return Coat(material, tint, level, self._length(cell), (left, top), light)

    def printed(
        self,
        material: str,
        *colors: str,
        textures: Sequence[str] = tuple(PATTERNS),
        period: int = 20,
        level: int = 128,
        light: Light = "flat",
        cell: int = 8,
    ) -> Coat:
        """A coat with a texture in two inks: the first of some colours, the second one that stands out from it."""
        name = self.dice.pick(colors or COLORS)
        apart = [other for other in COLORS if not any({name, other} <= alike for alike in _ALIKE)]
        second = self.dice.pick([color for color in apart if color in colors and color != name] or apart)
        plain = self.coat(material, name, level=level, light=light, cell=cell)
        texture, ink = self.dice.pick(textures), self.dice.pick(TINTS[second])
        return replace(plain, texture=texture, ink=ink, period=self._length(period))

    def dressed(self, material: str, *colors: str, period: int = 20, light: Light = "flat", percent: int = 55) -> Coat:
        """A coat that is printed in so many of a hundred cases, else plain."""
        if self.dice.chance(percent):
            return self.printed(material, *colors, period=period, light=light)
        return self.coat(material, *colors, light=light)

    def _paint(self, stamp: raster.Stamp, coat: Coat, on: str) -> None:
        part, _, subpart = on.partition("/")
        self.canvas.paint(stamp, coat, Surface(self.thing, part, subpart, coat.material, coat.texture))

    def _at(self, point: raster.Point) -> raster.Point:
        left, top, right, bottom = self.box
        across = 100 - point[0] if self.mirrored else point[0]
        return left + across * (right - left) // 100, top + point[1] * (bottom - top) // 100

    def _place(self, box: raster.Box) -> raster.Box:
        (x0, top), (x1, bottom) = self._at(box[:2]), self._at(box[2:])
        return min(x0, x1), top, max(x0, x1), bottom

    def _length(self, percent: int) -> int:
        left, top, right, bottom = self.box
        return max(raster.ONE // 2, min(right - left, bottom - top) * percent // 100)


@dataclass(frozen=True)
class Sketch:
    """A thing that can be drawn anywhere."""

    thing: str  # its object label
    height: int  # in percent of the picture's shorter side, when it stands in front
    aspect: int  # width in percent of the height
    draw: Callable[[Pen], None]


def sketch(thing: str, height: int, aspect: int) -> Callable[[Callable[[Pen], None]], Sketch]:
    """Turn a drawing function into a sketch."""
    return lambda draw: Sketch(thing, height, aspect, draw)
