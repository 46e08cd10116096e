"""Buildings and vehicles."""

from __future__ import annotations

from nd_shapes.canvas import Coat
from nd_shapes.pen import Pen, sketch

WALLS = ("red", "brown", "white", "yellow", "grey", "orange", "blue", "pink")


def _window(pen: Pen, frame: Coat, glass: Coat) -> None:
    """A window with four panes."""
    pen.rect(0, 0, 100, 100, frame, "window")
    pen.rects([(x, y, x + 38, y + 38) for x in (8, 54) for y in (8, 54)], glass, "window/pane")


def _door(pen: Pen, colors: tuple[str, ...] = ()) -> None:
    """A door, with a pane at times."""
    pen.rect(-6, -4, 106, 100, pen.coat("wood", "white", "brown"), "door")
    leaf = pen.coat("wood", *colors, cell=34)
    pen.rect(4, 4, 96, 100, leaf, "door")
    if pen.dice.chance(60):
        pen.rect(22, 12, 78, 42, pen.coat("glass", "blue", "yellow"), "door/pane")
    pen.oval(72, 54, 88, 63, pen.coat("metal", "yellow", "grey", level=200), "door/handle")


def _glass(pen: Pen) -> Coat:
    return pen.coat("glass", "blue", "blue", "blue", "yellow", "black", level=120, cell=60)


@sketch("house", height=62, aspect=110)
def house(pen: Pen) -> None:
    """A house with a pitched roof."""
    material = pen.dice.pick(("brick", "brick", "wood", "stone", "concrete"))
    colors = ("red", "brown", "orange") if material == "brick" else WALLS
    pen.rect(68, 4, 80, 34, pen.coat("brick", "red", "brown", cell=4), "chimney")
    pen.rect(8, 38, 92, 100, pen.coat(material, *colors, cell=5))
    roof = pen.coat("ceramic", "red", "brown", "grey", "black", "orange", cell=5)
    if pen.dice.chance(65):
        roof = pen.printed(
            "ceramic",
            "red",
            "brown",
            "grey",
            "orange",
            "black",
            textures=("scaly", "grid"),
            period=7,
        )
    slope = pen.dice.pick(([(50, 4)], [(22, 10), (78, 10)]))
    pen.polygon([(0, 43), *slope, (100, 43)], roof, "roof")
    frame, glass = pen.coat("wood", "white", "brown", level=150), _glass(pen)
    for left in (16, 66):
        _window(pen.inset(left, 52, left + 18, 72), frame, glass)
    _door(pen.inset(41, 60, 59, 100))


@sketch("building", height=84, aspect=56)
def building(pen: Pen) -> None:
    """A block of flats."""
    _tower(pen, 128, "blue", "blue", "black", "grey")


@sketch("building", height=96, aspect=50)
def lit_building(pen: Pen) -> None:
    """A block of flats by night."""
    _tower(pen, 50, "yellow", "yellow", "orange", "black")


def _tower(pen: Pen, level: int, *panes: str) -> None:
    material = pen.dice.pick(("concrete", "brick", "stone", "metal"))
    wall = pen.coat(material, "grey", "grey", "brown", "red", "blue", "black", level=level, cell=4)
    pen.rect(4, 2, 96, 100, wall)
    pen.rect(0, 0, 100, 4, pen.coat("concrete", "grey", "brown"), "roof")
    glass, dark = pen.coat("glass", *panes, level=170), pen.coat("glass", "black", "blue", level=60)
    columns = pen.dice.whole(3, 5)
    step = 88 // columns
    corners = [
        (x, y)
        for y in range(9, 9 + 12 * pen.dice.whole(4, 7), 12)
        for x in range(8, 8 + columns * step, step)
    ]
    windows = [(x, y, x + step * 2 // 3, y + 7) for x, y in corners]
    pen.rects(windows, dark, "window")
    pen.rects([window for window in windows if pen.dice.chance(72)] or windows, glass, "window")
    _door(pen.inset(42, 90, 58, 100))


@sketch("lighthouse", height=84, aspect=36)
def lighthouse(pen: Pen) -> None:
    """A lighthouse with bands."""
    colors = ("white", pen.dice.pick(("red", "red", "blue", "black")))
    tower = pen.printed("concrete", *colors, textures=("banded",), period=80, light="tube")
    pen.polygon([(28, 26), (72, 26), (86, 100), (14, 100)], tower)
    pen.rect(20, 23, 80, 28, pen.coat("metal", "black", "grey"))
    pen.rect(34, 11, 66, 23, pen.coat("glass", "yellow", level=190, cell=30), "lantern")
    pen.blob(
        [(26, 13), (44, -4), (56, -4), (74, 13)],
        pen.coat("metal", "red", "black", light="round"),
        "roof",
    )
    for y in (40, 60):
        pen.rect(43, y, 57, y + 8, _glass(pen), "window")
    _door(pen.inset(38, 84, 62, 100))


@sketch("fence", height=16, aspect=300)
def fence(pen: Pen) -> None:
    """A picket fence."""
    wood = pen.coat("wood", "white", "white", "brown", "green", cell=60)
    pen.rects([(0, y, 100, y + 10) for y in (34, 68)], wood.shaded(-24))
    pickets = [[(x, 14), (x + 3, 0), (x + 6, 14), (x + 6, 100), (x, 100)] for x in range(1, 100, 9)]
    pen.polygons(pickets, wood, "picket")


def _wheels(pen: Pen, lefts: tuple[int, int], top: int, wide: int) -> None:
    tyre = pen.coat("rubber", "black", level=90, light="round")
    hub = pen.coat("metal", "grey", "white", level=150, light="round")
    for left in lefts:
        wheel = pen.inset(left, top, left + wide, 101)
        wheel.oval(0, 0, 100, 100, tyre, "wheel")
        wheel.oval(24, 24, 76, 76, hub, "wheel/hub")
        wheel.oval(42, 42, 58, 58, hub.shaded(-110), "wheel/hub")


@sketch("car", height=26, aspect=225)
def car(pen: Pen) -> None:
    """A car from the side."""
    paint, glass = pen.coat("metal", cell=90), _glass(pen)
    pen.blob([(18, 48), (36, 4), (70, 4), (88, 48)], paint.shaded(14))
    pen.blob([(0, 84), (0, 50), (22, 40), (84, 40), (100, 48), (100, 84)], paint)
    windows = [[(27, 43), (38, 13), (51, 13), (51, 43)], [(54, 43), (54, 13), (67, 13), (79, 43)]]
    pen.polygons(windows, glass, "window")
    pen.rect(52, 14, 53, 80, paint.shaded(-70), "door")
    pen.polygon([(29, 46), (78, 46), (74, 80), (34, 80)], paint.shaded(6), "door")
    pen.rects(
        [(x, 52, x + 6, 56) for x in (45, 66)], pen.coat("metal", "grey", level=200), "door/handle"
    )
    pen.oval(0, 50, 7, 64, pen.coat("glass", "yellow", "white", level=210), "headlight")
    pen.rect(0, 74, 100, 82, pen.coat("plastic", "black", "grey"), "bumper")
    _wheels(pen, (12, 70), 58, 19)


@sketch("car", height=30, aspect=120)
def oncoming_car(pen: Pen) -> None:
    """A car from the front."""
    paint = pen.coat("metal", cell=90)
    pen.rects([(x, 70, x + 18, 100) for x in (6, 76)], pen.coat("rubber", "black"), "wheel")
    pen.blob([(14, 46), (26, 0), (74, 0), (86, 46)], paint.shaded(14))
    pen.blob([(0, 90), (2, 44), (20, 36), (80, 36), (98, 44), (100, 90)], paint)
    pen.polygon([(20, 38), (30, 8), (70, 8), (80, 38)], _glass(pen), "window")
    bars = pen.printed("metal", "grey", "black", textures=("grid", "striped", "banded"), period=9)
    pen.rect(32, 54, 68, 68, bars, "grille")
    for x in (8, 76):
        pen.oval(x, 50, x + 17, 68, pen.coat("glass", "yellow", "white", level=220), "headlight")
    pen.rect(0, 74, 100, 84, pen.coat("plastic", "black", "grey"), "bumper")
    pen.rect(38, 73, 62, 83, pen.coat("metal", "white", "yellow"), "license plate")


@sketch("bus", height=36, aspect=215)
def bus(pen: Pen) -> None:
    """A bus from the side."""
    paint, glass = (
        pen.coat("metal", "yellow", "yellow", "red", "blue", "green", "white", cell=90),
        _glass(pen),
    )
    pen.blob([(-2, 90), (-2, 8), (4, 0), (98, 0), (102, 6), (102, 90)], paint)
    pen.rects([(x, 14, x + 12, 42) for x in range(16, 92, 15)], glass, "window")
    pen.rect(2, 14, 13, 86, glass.shaded(-30), "door")
    pen.rect(7, 14, 8, 86, paint.shaded(-60), "door")
    pen.rect(0, 56, 100, 61, pen.coat("metal", "black", "white", "red"))
    pen.rect(0, 84, 100, 90, pen.coat("plastic", "black"), "bumper")
    pen.oval(0, 70, 4, 80, pen.coat("glass", "yellow", "white", level=220), "headlight")
    _wheels(pen, (18, 74), 72, 14)


@sketch("boat", height=52, aspect=84)
def sailboat(pen: Pen) -> None:
    """A sailing boat."""
    sail = pen.dressed(
        "fabric", "white", "white", "red", "yellow", "orange", "blue", period=22, percent=40
    )
    pen.rect(46, 0, 49, 84, pen.coat("wood", "brown", light="tube"), "mast")
    pen.blob([(51, 2), (52, 4), (98, 72), (96, 74), (51, 74)], sail, "sail")
    pen.blob([(44, 14), (44, 72), (10, 72)], sail.shaded(-24), "sail")
    pen.polygon([(47, -2), (64, 3), (47, 8)], pen.coat("fabric", "red", "yellow", "blue"), "flag")
    hull = pen.coat(pen.dice.pick(("wood", "plastic")), cell=8)
    pen.blob([(0, 78), (50, 81), (100, 78), (100, 78), (86, 102), (16, 102)], hull, "hull")


@sketch("boat", height=26, aspect=200)
def ship(pen: Pen) -> None:
    """A ship with a funnel."""
    pen.blob(
        [(58, 36), (60, 0), (70, 0), (72, 36)],
        pen.printed("metal", textures=("banded",), period=60),
        "funnel",
    )
    pen.rect(24, 26, 82, 62, pen.coat("metal", "white", cell=60), "cabin")
    for x in range(28, 78, 10):
        pen.oval(x, 34, x + 6, 46, _glass(pen), "cabin/pane")
    pen.polygon([(0, 56), (100, 56), (90, 100), (12, 100)], pen.coat("metal", cell=60), "hull")


@sketch("traffic light", height=50, aspect=30)
def traffic_light(pen: Pen) -> None:
    """A traffic light; one of its lamps is lit."""
    pen.rect(43, 50, 57, 100, pen.coat("metal", "grey", "black", light="tube"), "pole")
    pen.rect(10, 0, 90, 54, pen.coat("plastic", "black", "yellow", level=70))
    lit = pen.dice.whole(0, 2)
    for index, color in enumerate(("red", "yellow", "green")):
        lamp = pen.coat("glass", color, level=220 if index == lit else 50, light="round", cell=90)
        pen.oval(26, 4 + index * 16, 74, 19 + index * 16, lamp, "bulb")


@sketch("streetlight", height=74, aspect=30)
def streetlight(pen: Pen) -> None:
    """A street lamp."""
    iron = pen.coat("metal", "black", "grey", light="tube")
    pen.rect(45, 14, 55, 100, iron, "pole")
    pen.rect(34, 94, 66, 100, iron, "pole")
    pen.lighten(-60, -30, 160, 44, 34)
    pen.blob(
        [(16, 16), (30, 0), (70, 0), (84, 16), (62, 22), (38, 22)],
        pen.coat("glass", "yellow", level=225),
        "bulb",
    )
    pen.polygon([(24, 4), (50, -6), (76, 4)], iron, "cap")
