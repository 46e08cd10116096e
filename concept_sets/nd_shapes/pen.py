"""Pen: draws one thing, in percent of the box that the thing stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nd_shapes import raster
from nd_shapes.canvas import Canvas, Coat, Light, Surface
from nd_shapes.noise import Dice
from nd_shapes.palette import COLORS, TINTS
from nd_shapes.patterns import PATTERNS

LEFT_AND_RIGHT = (-1, 1)
_SIMILAR_COLORS = (  # two of one set make a texture that can hardly be seen
    {"black", "purple", "blue", "brown"},
    {"white", "yellow", "pink"},
    {"red", "orange", "brown", "pink", "purple"},
    {"grey", "blue", "green", "brown"},
    {"orange", "yellow"},
)


@dataclass(frozen=True)
class Pen:
    """Box on the canvas, with methods that draw a thing in it.

    Points and boxes are whole percents of the pen's own box, x to the right and y down. ``on``
    names the part that a stroke belongs to, or the part and the part of the part: ``"head/eye"``.
    """

    canvas: Canvas
    dice: Dice
    box: raster.Box
    thing: str = ""
    mirrored: bool = False

    def rect(
        self, left: int, top: int, right: int, bottom: int, coat: Coat, on: str = ""
    ) -> None:
        """Paint a rectangle."""
        box = self._box_on_canvas(left, top, right, bottom)
        stamp = raster.rectangle(box, self.canvas.size)
        self._paint(stamp, coat, on)

    def oval(
        self, left: int, top: int, right: int, bottom: int, coat: Coat, on: str = ""
    ) -> None:
        """Paint an ellipse that touches the sides of a rectangle."""
        box = self._box_on_canvas(left, top, right, bottom)
        stamp = raster.ellipse(box, self.canvas.size)
        self._paint(stamp, coat, on)

    def disc(self, x: int, y: int, radius: int, coat: Coat, on: str = "") -> None:
        """Paint an ellipse of this radius, across and down, round a point."""
        self.oval(x - radius, y - radius, x + radius, y + radius, coat, on)

    def polygon(
        self, corners: Sequence[raster.Point], coat: Coat, on: str = ""
    ) -> None:
        """Paint the inside of a closed line."""
        self.polygons([corners], coat, on)

    def polygons(
        self, lines: Sequence[Sequence[raster.Point]], coat: Coat, on: str = ""
    ) -> None:
        """Paint the insides of closed lines that do not overlap, in one stroke."""
        lines_on_canvas = [self._line_on_canvas(line) for line in lines]
        stamp = raster.polygons(lines_on_canvas, self.canvas.size)
        self._paint(stamp, coat, on)

    def rects(
        self, boxes: Sequence[tuple[int, int, int, int]], coat: Coat, on: str = ""
    ) -> None:
        """Paint rectangles that do not overlap, in one stroke."""
        lines = []
        for left, top, right, bottom in boxes:
            lines.append(
                [(left, top), (right, top), (right, bottom), (left, bottom)]
            )
        self.polygons(lines, coat, on)

    def blob(
        self, corners: Sequence[raster.Point], coat: Coat, on: str = ""
    ) -> None:
        """Paint the inside of a closed line with its corners rounded."""
        outline = raster.rounded(self._line_on_canvas(corners))
        stamp = raster.polygons([outline], self.canvas.size)
        self._paint(stamp, coat, on)

    def lighten(
        self, left: int, top: int, right: int, bottom: int, change: int
    ) -> None:
        """Cast light on an ellipse, or shadow if the change is below 0."""
        box = self._box_on_canvas(left, top, right, bottom)
        stamp = raster.ellipse(box, self.canvas.size)
        self.canvas.lighten(stamp, change)

    def inset(self, left: int, top: int, right: int, bottom: int) -> Pen:
        """Return a pen for a smaller box within this one, for the same thing."""
        return replace(self, box=self._box_on_canvas(left, top, right, bottom))

    def of(self, thing: str) -> Pen:
        """Return a pen for the same box that draws another thing."""
        return replace(self, thing=thing)

    def coat(
        self,
        material: str,
        *colors: str,
        level: int = 128,
        light: Light = "flat",
        cell: int = 16,
    ) -> Coat:
        """Return a plain coat in one of these colours, or in any.

        ``level`` is about its mean shade. ``cell`` is the size of the material's relief, in percent
        of the shorter side of the box.
        """
        color = self.dice.pick(colors or COLORS)
        tint = self.dice.pick(TINTS[color])
        shade = level + self.dice.whole(-20, 20)
        return Coat(
            material=material,
            tint=tint,
            level=shade,
            cell=self._length(cell),
            origin=(self.box.left, self.box.top),
            light=light,
        )

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
        """Return a coat with a texture in two inks.

        The first ink is one of these colours, or any; the second one contrasts with it, and is
        another of these colours if that is possible.
        """
        color = self.dice.pick(colors or COLORS)
        contrasting = _contrasting_colors(color)
        preferred = [name for name in contrasting if name in colors]
        second_color = self.dice.pick(preferred or contrasting)
        plain = self.coat(material, color, level=level, light=light, cell=cell)
        texture = self.dice.pick(textures)
        ink = self.dice.pick(TINTS[second_color])
        return replace(plain, texture=texture, ink=ink, period=self._length(period))

    def dressed(
        self,
        material: str,
        *colors: str,
        period: int = 20,
        light: Light = "flat",
        percent: int = 55,
    ) -> Coat:
        """Return a printed coat with a chance of ``percent``, else a plain one."""
        if self.dice.chance(percent):
            return self.printed(material, *colors, period=period, light=light)
        return self.coat(material, *colors, light=light)

    def _paint(self, stamp: raster.Stamp, coat: Coat, on: str) -> None:
        part, _, subpart = on.partition("/")
        surface = Surface(self.thing, part, subpart, coat.material, coat.texture)
        self.canvas.paint(stamp, coat, surface)

    def _point_on_canvas(self, x: int, y: int) -> raster.Point:
        if self.mirrored:
            x = 100 - x
        x_on_canvas = self.box.left + x * self.box.width // 100
        y_on_canvas = self.box.top + y * self.box.height // 100
        return x_on_canvas, y_on_canvas

    def _line_on_canvas(self, line: Sequence[raster.Point]) -> list[raster.Point]:
        return [self._point_on_canvas(x, y) for x, y in line]

    def _box_on_canvas(
        self, left: int, top: int, right: int, bottom: int
    ) -> raster.Box:
        start_x, start_y = self._point_on_canvas(left, top)
        end_x, end_y = self._point_on_canvas(right, bottom)
        return raster.Box(min(start_x, end_x), start_y, max(start_x, end_x), end_y)

    def _length(self, percent: int) -> int:
        """Return a percentage of the box's shorter side, at least half a pixel."""
        shorter_side = min(self.box.width, self.box.height)
        return max(raster.ONE // 2, shorter_side * percent // 100)


def _contrasting_colors(color: str) -> list[str]:
    """Return the colours that stand out from a colour."""
    contrasting = []
    for name in COLORS:
        if not any({name, color} <= similar for similar in _SIMILAR_COLORS):
            contrasting.append(name)
    return contrasting


def from_middle(side: int, offsets: Sequence[raster.Point]) -> list[raster.Point]:
    """Return points that lie so far from the upright middle line, on the left (-1) or right (1)."""
    return [(50 + side * x, y) for x, y in offsets]


@dataclass(frozen=True)
class Sketch:
    """Drawing of a thing that can be placed anywhere."""

    thing: str  # object label
    height: int  # in percent of the picture's shorter side, in the foreground
    aspect: int  # width in percent of the height
    draw: Callable[[Pen], None]


def sketch(
    thing: str, height: int, aspect: int
) -> Callable[[Callable[[Pen], None]], Sketch]:
    """Return a decorator that turns a drawing function into a sketch."""

    def decorate(draw: Callable[[Pen], None]) -> Sketch:
        return Sketch(thing, height, aspect, draw)

    return decorate
