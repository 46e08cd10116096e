"""The stage: a whole picture, its ground and backdrop, and where things stand on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nd_shapes.canvas import Canvas, Coat
from nd_shapes.noise import Dice
from nd_shapes.pen import Pen, Sketch
from nd_shapes.raster import ONE, Box


@dataclass(frozen=True)
class Stage:
    """A picture in percent of its width and height; with a close-up, only part of it is seen."""

    pen: Pen  # over the whole stage
    unit: int  # its shorter side

    @property
    def dice(self) -> Dice:
        """The dice of this picture."""
        return self.pen.dice

    def layer(self, thing: str, top: int, bottom: int, coat: Coat) -> None:
        """Fill the whole width between two heights: sky, ground, walls."""
        self.pen.of(thing).rect(0, top, 100, bottom, coat)

    def ridge(self, thing: str, top: int, bottom: int, coat: Coat, *, peaks: int, soft: bool = True) -> None:
        """Hills, or mountains where they are not soft, in front of what lies behind."""
        line = [(-30, bottom)]
        for index in range(2 * peaks + 1):
            x = -20 + index * 140 // (2 * peaks) + self.dice.whole(-5, 5)
            low, high = (top, (top + bottom) // 2) if index % 2 else ((top + 2 * bottom) // 3, bottom)
            line.append((x, self.dice.whole(low, high)))
        line.append((130, bottom))
        pen = self.pen.of(thing)
        (pen.blob if soft else pen.polygon)(line, coat)

    def place(self, sketch: Sketch, x: int, foot: int, scale: int = 100, *, shadow: bool = True) -> None:
        """Stand a thing with the middle of its foot at a point; ``scale`` is in percent of its usual size."""
        left, top, right, bottom = self.pen.box
        middle, ground = left + (right - left) * x // 100, top + (bottom - top) * foot // 100
        high = self.unit * sketch.height * scale // 10000
        wide = high * sketch.aspect // 100
        box: Box = (middle - wide // 2, ground - high, middle - wide // 2 + wide, ground)
        pen = Pen(self.pen.canvas, self.dice, box, sketch.thing, mirrored=self.dice.chance(50))
        if shadow:
            depth = max(3, min(9, sketch.aspect // 12))
            pen.lighten(-4, 100 - depth, 104, 100 + depth, -44)
        sketch.draw(pen)

    def row(self, sketches: Sequence[Sketch], foot: int, gap: int, scale: int = 100) -> None:
        """A row of things from left to right, as behind a street; ``gap`` is the distance of their middles."""
        x = self.dice.whole(-4, gap)
        while x < 104:
            self.place(self.dice.pick(sketches), x, foot, scale + self.dice.whole(-12, 12))
            x += gap + self.dice.whole(-gap // 5, gap // 5)

    def scatter(self, sketches: Sequence[Sketch], near: int, far: int, count: int, *, smallest: int = 55) -> None:
        """Things at random on the ground, the far ones smaller and first; ``far`` and ``near`` are heights of feet."""
        feet = sorted(self.dice.whole(far, near) for _ in range(count))
        start = self.dice.whole(0, 99)
        for index, foot in enumerate(feet):
            x = 6 + (start + index * 37 + self.dice.whole(-8, 8)) % 88
            scale = smallest + (110 - smallest) * (foot - far) // max(1, near - far)
            self.place(self.dice.pick(sketches), x, foot, scale)

    def float(self, sketches: Sequence[Sketch], top: int, bottom: int, count: int, scale: int = 80) -> None:
        """Things at random in the air, or under water."""
        for _ in range(count):
            height = self.dice.whole(top, bottom)
            size = scale * self.dice.whole(60, 130) // 100
            self.place(self.dice.pick(sketches), self.dice.whole(4, 96), height, size, shadow=False)


def empty_stage(size: tuple[int, int], dice: Dice, closer: int) -> Stage:
    """An empty stage; ``closer`` of a hundred pictures show only a part of it."""
    height, width = (pixels * ONE for pixels in size)
    zoom = dice.whole(125, 190) if dice.chance(closer) else 100
    high, wide = height * zoom // 100, width * zoom // 100
    top, left = (height - high) * dice.whole(45, 85) // 100, (width - wide) * dice.whole(15, 85) // 100
    canvas = Canvas(size)
    return Stage(Pen(canvas, dice, (left, top, left + wide, top + high)), min(high, wide))
