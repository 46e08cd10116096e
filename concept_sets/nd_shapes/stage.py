"""Stage: a whole picture, its ground and backdrop, and the things that stand on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nd_shapes.canvas import Canvas, Coat
from nd_shapes.noise import Dice
from nd_shapes.pen import Pen, Sketch
from nd_shapes.raster import ONE, Box


@dataclass(frozen=True)
class Stage:
    """Picture in percent of its width and height; a close-up shows a part of it only."""

    pen: Pen  # over the whole stage
    shorter_side: int

    @property
    def dice(self) -> Dice:
        """Dice of this picture."""
        return self.pen.dice

    def layer(self, thing: str, top: int, bottom: int, coat: Coat) -> None:
        """Fill the whole width between two heights: sky, ground, walls."""
        self.pen.of(thing).rect(0, top, 100, bottom, coat)

    def ridge(
        self,
        thing: str,
        top: int,
        bottom: int,
        coat: Coat,
        *,
        peaks: int,
        soft: bool = True,
    ) -> None:
        """Paint a line of hills, or of pointed mountains if it is not soft."""
        line = [(-30, bottom)]
        for index in range(2 * peaks + 1):
            x = -20 + index * 140 // (2 * peaks) + self.dice.whole(-5, 5)
            if index % 2:  # a peak
                y = self.dice.whole(top, (top + bottom) // 2)
            else:  # a valley
                y = self.dice.whole((top + 2 * bottom) // 3, bottom)
            line.append((x, y))
        line.append((130, bottom))
        pen = self.pen.of(thing)
        if soft:
            pen.blob(line, coat)
        else:
            pen.polygon(line, coat)

    def place(
        self,
        sketch: Sketch,
        x: int,
        foot: int,
        scale: int = 100,
        *,
        shadow: bool = True,
    ) -> None:
        """Draw a thing with the middle of its foot at a point, mirrored or not.

        ``scale`` is in percent of the thing's usual size.
        """
        box = self.pen.box
        middle = box.left + box.width * x // 100
        ground = box.top + box.height * foot // 100
        height = self.shorter_side * sketch.height * scale // 10000
        width = height * sketch.aspect // 100
        start = middle - width // 2
        sketch_box = Box(start, ground - height, start + width, ground)
        mirrored = self.dice.chance(50)
        pen = Pen(self.pen.canvas, self.dice, sketch_box, sketch.thing, mirrored)
        if shadow:
            depth = max(3, min(9, sketch.aspect // 12))
            pen.lighten(-4, 100 - depth, 104, 100 + depth, -44)
        sketch.draw(pen)

    def row(
        self, sketches: Sequence[Sketch], foot: int, gap: int, scale: int = 100
    ) -> None:
        """Draw things in a row, as along a street; ``gap`` is the distance of their middles."""
        x = self.dice.whole(-4, gap)
        while x < 104:
            sketch = self.dice.pick(sketches)
            self.place(sketch, x, foot, scale + self.dice.whole(-12, 12))
            x += gap + self.dice.whole(-gap // 5, gap // 5)

    def scatter(
        self,
        sketches: Sequence[Sketch],
        near: int,
        far: int,
        count: int,
        *,
        smallest: int = 55,
    ) -> None:
        """Draw things at random on the ground, from the far and small ones to the near ones.

        ``far`` and ``near`` limit the heights of their feet; ``smallest`` is the scale at ``far``.
        """
        feet = sorted(self.dice.whole(far, near) for _ in range(count))
        start = self.dice.whole(0, 99)
        for index, foot in enumerate(feet):
            x = 6 + (start + index * 37 + self.dice.whole(-8, 8)) % 88
            growth = (110 - smallest) * (foot - far) // max(1, near - far)
            self.place(self.dice.pick(sketches), x, foot, smallest + growth)

    def float(
        self,
        sketches: Sequence[Sketch],
        top: int,
        bottom: int,
        count: int,
        scale: int = 80,
    ) -> None:
        """Draw things at random in the air or under water, without shadows."""
        for _ in range(count):
            foot = self.dice.whole(top, bottom)
            scale_of_thing = scale * self.dice.whole(60, 130) // 100
            sketch = self.dice.pick(sketches)
            x = self.dice.whole(4, 96)
            self.place(sketch, x, foot, scale_of_thing, shadow=False)


def empty_stage(size: tuple[int, int], dice: Dice, close_up_percent: int) -> Stage:
    """Return an empty stage that is a close-up with this chance.

    The stage of a close-up is larger than the canvas, which shows a part of it. ``size`` is
    (height, width) in pixels.
    """
    height = size[0] * ONE
    width = size[1] * ONE
    zoom = dice.whole(125, 190) if dice.chance(close_up_percent) else 100
    stage_height = height * zoom // 100
    stage_width = width * zoom // 100
    top = (height - stage_height) * dice.whole(45, 85) // 100
    left = (width - stage_width) * dice.whole(15, 85) // 100
    box = Box(left, top, left + stage_width, top + stage_height)
    return Stage(Pen(Canvas(size), dice, box), min(stage_height, stage_width))
