"""Buildings."""

from __future__ import annotations

from nd_shapes.canvas import Coat
from nd_shapes.pen import Pen, sketch

_WALLS = ("red", "brown", "white", "yellow", "grey", "orange", "blue", "pink")
_BRICKS = ("red", "brown", "orange")


@sketch("house", height=62, aspect=110)
def house(pen: Pen) -> None:
    """Draw a house with a pitched roof."""
    material = pen.dice.pick(("brick", "brick", "wood", "stone", "concrete"))
    colors = _BRICKS if material == "brick" else _WALLS
    pen.rect(68, 4, 80, 34, pen.coat("brick", "red", "brown", cell=4), "chimney")
    pen.rect(8, 38, 92, 100, pen.coat(material, *colors, cell=5))
    tiles = _roof_tiles(pen)
    gable = [(50, 4)]
    hip = [(22, 10), (78, 10)]
    ridge = pen.dice.pick((gable, hip))
    pen.polygon([(0, 43), *ridge, (100, 43)], tiles, "roof")
    frame = pen.coat("wood", "white", "brown", level=150)
    glass = window_glass(pen)
    for x in (16, 66):
        _window(pen.inset(x, 52, x + 18, 72), frame, glass)
    _door(pen.inset(41, 60, 59, 100))


def _roof_tiles(pen: Pen) -> Coat:
    plain = pen.coat("ceramic", "red", "brown", "grey", "black", "orange", cell=5)
    if not pen.dice.chance(65):
        return plain
    colors = ("red", "brown", "grey", "orange", "black")
    return pen.printed("ceramic", *colors, textures=("scaly", "grid"), period=7)


@sketch("building", height=84, aspect=56)
def building(pen: Pen) -> None:
    """Draw a block of flats."""
    _tower(pen, 128, "blue", "blue", "black", "grey")


@sketch("building", height=96, aspect=50)
def lit_building(pen: Pen) -> None:
    """Draw a block of flats at night."""
    _tower(pen, 50, "yellow", "yellow", "orange", "black")


def _tower(pen: Pen, level: int, *pane_colors: str) -> None:
    material = pen.dice.pick(("concrete", "brick", "stone", "metal"))
    wall_colors = ("grey", "grey", "brown", "red", "blue", "black")
    pen.rect(4, 2, 96, 100, pen.coat(material, *wall_colors, level=level, cell=4))
    pen.rect(0, 0, 100, 4, pen.coat("concrete", "grey", "brown"), "roof")
    lit_glass = pen.coat("glass", *pane_colors, level=170)
    dark_glass = pen.coat("glass", "black", "blue", level=60)
    windows = _windows_of_tower(pen)
    pen.rects(windows, dark_glass, "window")
    lit_windows = [window for window in windows if pen.dice.chance(72)]
    pen.rects(lit_windows or windows, lit_glass, "window")
    _door(pen.inset(42, 90, 58, 100))


def _windows_of_tower(pen: Pen) -> list[tuple[int, int, int, int]]:
    """Return the boxes of the windows, row by row."""
    columns = pen.dice.whole(3, 5)
    rows = pen.dice.whole(4, 7)
    step = 88 // columns
    width = step * 2 // 3
    windows = []
    for y in range(9, 9 + 12 * rows, 12):
        windows += [
            (x, y, x + width, y + 7) for x in range(8, 8 + columns * step, step)
        ]
    return windows


@sketch("lighthouse", height=84, aspect=36)
def lighthouse(pen: Pen) -> None:
    """Draw a lighthouse with bands."""
    band_color = pen.dice.pick(("red", "red", "blue", "black"))
    bands = pen.printed(
        "concrete",
        "white",
        band_color,
        textures=("banded",),
        period=80,
        light="tube",
    )
    tower = [(28, 26), (72, 26), (86, 100), (14, 100)]
    pen.polygon(tower, bands)
    pen.rect(20, 23, 80, 28, pen.coat("metal", "black", "grey"))
    pen.rect(
        34, 11, 66, 23, pen.coat("glass", "yellow", level=190, cell=30), "lantern"
    )
    roof = [(26, 13), (44, -4), (56, -4), (74, 13)]
    pen.blob(roof, pen.coat("metal", "red", "black", light="round"), "roof")
    for y in (40, 60):
        pen.rect(43, y, 57, y + 8, window_glass(pen), "window")
    _door(pen.inset(38, 84, 62, 100))


def _window(pen: Pen, frame: Coat, glass: Coat) -> None:
    """Draw a window with four panes."""
    pen.rect(0, 0, 100, 100, frame, "window")
    corners = ((8, 8), (8, 54), (54, 8), (54, 54))
    panes = [(x, y, x + 38, y + 38) for x, y in corners]
    pen.rects(panes, glass, "window/pane")


def _door(pen: Pen) -> None:
    """Draw a door, sometimes with a pane."""
    pen.rect(-6, -4, 106, 100, pen.coat("wood", "white", "brown"), "door")
    pen.rect(4, 4, 96, 100, pen.coat("wood", cell=34), "door")
    if pen.dice.chance(60):
        pen.rect(22, 12, 78, 42, pen.coat("glass", "blue", "yellow"), "door/pane")
    pen.oval(
        72,
        54,
        88,
        63,
        pen.coat("metal", "yellow", "grey", level=200),
        "door/handle",
    )


def window_glass(pen: Pen) -> Coat:
    """Return glass as seen from outside by day."""
    return pen.coat(
        "glass", "blue", "blue", "blue", "yellow", "black", level=120, cell=60
    )
