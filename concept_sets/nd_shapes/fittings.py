"""Lamps and things on the walls of a room."""

from __future__ import annotations

from nd_shapes.canvas import Coat
from nd_shapes.pen import Pen, sketch

_HOURS = ((0, -1), (1, 0), (0, 1), (-1, 0))  # 12, 3, 6 and 9 o'clock
_HAND_DIRECTIONS = (
    (10, 0),
    (7, 7),
    (0, 10),
    (-7, 7),
    (-10, 0),
    (-7, -7),
    (0, -10),
    (7, -7),
)


@sketch("lamp", height=40, aspect=60)
def lamp(pen: Pen) -> None:
    """Draw a table lamp."""
    pen.lighten(-60, -40, 160, 100, 24)
    china = pen.coat("ceramic", light="tube")
    pen.rect(
        46, 40, 54, 96, pen.coat("metal", "yellow", "grey", light="tube"), "base"
    )
    belly = [(36, 56), (64, 56), (80, 84), (60, 98), (40, 98), (20, 84)]
    pen.blob(belly, china, "base")
    pen.rect(24, 96, 76, 100, china.shaded(-20), "base")
    colors = ("yellow", "white", "orange", "pink", "red")
    cloth = pen.dressed("fabric", *colors, period=22, percent=35)
    shade = [(26, 0), (74, 0), (100, 50), (0, 50)]
    pen.polygon(shade, cloth.shaded(50), "shade")


@sketch("chandelier", height=26, aspect=110)
def pendant(pen: Pen) -> None:
    """Draw a lamp that hangs from the ceiling."""
    pen.rect(49, -200, 51, 20, pen.coat("metal", "black"))
    pen.lighten(-60, 40, 160, 200, 20)
    glass = pen.coat("glass", "yellow", "white", level=230, light="round")
    pen.oval(36, 70, 64, 100, glass, "bulb")
    shade = [(30, 10), (70, 10), (104, 84), (-4, 84)]
    pen.blob(shade, pen.coat("metal", cell=90), "shade")


@sketch("clock", height=22, aspect=100)
def clock(pen: Pen) -> None:
    """Draw a clock on the wall."""
    material = pen.dice.pick(("wood", "metal", "plastic"))
    pen.oval(0, 0, 100, 100, pen.coat(material, light="round"), "rim")
    dial = pen.coat("paper", "white", "white", "yellow", "black", level=150)
    pen.oval(10, 10, 90, 90, dial, "dial")
    ink = pen.coat("metal", "red", "brown", "blue")
    for x, y in _HOURS:
        pen.disc(50 + x * 35, 50 + y * 35, 3, ink, "dial")
    _clock_hand(pen, 24, 4, ink)
    _clock_hand(pen, 34, 3, ink)
    pen.disc(50, 50, 4, ink, "dial/hand")


def _clock_hand(pen: Pen, length: int, width: int, ink: Coat) -> None:
    """Draw a hand in one of eight directions: a triangle with its base at the middle."""
    x, y = pen.dice.pick(_HAND_DIRECTIONS)
    tip = (50 + x * length // 10, 50 + y * length // 10)
    base_x = y * width // 10
    base_y = -x * width // 10
    hand = [(50 + base_x, 50 + base_y), tip, (50 - base_x, 50 - base_y)]
    pen.polygon(hand, ink, "dial/hand")


@sketch("painting", height=30, aspect=120)
def painting(pen: Pen) -> None:
    """Draw a framed landscape, or a framed pattern."""
    frame = pen.coat("wood", "brown", "black", "yellow", "white", cell=12)
    pen.rect(0, 0, 100, 100, frame, "frame")
    if pen.dice.chance(40):
        pen.rect(9, 10, 91, 90, pen.printed("paper", period=26))
    else:
        _landscape(pen)


def _landscape(pen: Pen) -> None:
    """Draw sky, sun, hills and a meadow."""
    sky = pen.coat("paper", "blue", "yellow", "pink", level=170, light="fall")
    pen.rect(9, 10, 91, 90, sky)
    pen.oval(60, 20, 76, 40, pen.coat("paper", "yellow", "red", "white", level=200))
    hills = [(9, 62), (30, 34), (48, 56), (68, 42), (91, 66), (91, 90), (9, 90)]
    pen.polygon(hills, pen.coat("paper", "purple", "blue"))
    pen.rect(9, 70, 91, 90, pen.coat("paper", "green", "orange"))


@sketch("windowpane", height=46, aspect=90)
def window(pen: Pen) -> None:
    """Draw a window seen from inside, between curtains."""
    frame = pen.coat("wood", "white", "brown", level=150)
    pen.rect(10, 0, 90, 100, frame)
    corners = ((16, 6), (16, 53), (53, 6), (53, 53))
    panes = [(x, y, x + 31, y + 41) for x, y in corners]
    pen.rects(panes, pen.coat("glass", "blue", level=190, cell=50), "pane")
    cloth = pen.dressed("fabric", period=16, percent=65)
    curtain = pen.of("curtain")
    first_half = [(-4, -6), (32, -6), (22, 60), (26, 106), (-4, 106)]
    second_half = [(100 - x, y) for x, y in first_half]
    curtain.polygons([first_half, second_half], cloth)
    curtain.rect(-10, -9, 110, -4, pen.coat("metal", "brown", "yellow", "grey"))


@sketch("television", height=36, aspect=150)
def television(pen: Pen) -> None:
    """Draw a television that is on."""
    foot = [(40, 84), (60, 84), (70, 100), (30, 100)]
    pen.polygon(foot, pen.coat("plastic", "black", "grey"))
    pen.rect(0, 0, 100, 90, pen.coat("plastic", "black", "grey", level=70), "frame")
    colors = ("blue", "green", "purple", "orange")
    picture = pen.coat("glass", *colors, level=150, cell=90)
    pen.rect(4, 6, 96, 82, picture, "screen")
