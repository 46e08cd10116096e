"""Vehicles on the road and on the water."""

from __future__ import annotations

from nd_shapes.buildings import window_glass
from nd_shapes.pen import Pen, sketch


@sketch("car", height=26, aspect=225)
def car(pen: Pen) -> None:
    """Draw a car from the side."""
    paint = pen.coat("metal", cell=90)
    glass = window_glass(pen)
    cabin = [(18, 48), (36, 4), (70, 4), (88, 48)]
    pen.blob(cabin, paint.shaded(14))
    body = [(0, 84), (0, 50), (22, 40), (84, 40), (100, 48), (100, 84)]
    pen.blob(body, paint)
    front_window = [(27, 43), (38, 13), (51, 13), (51, 43)]
    rear_window = [(54, 43), (54, 13), (67, 13), (79, 43)]
    pen.polygons([front_window, rear_window], glass, "window")
    pen.rect(52, 14, 53, 80, paint.shaded(-70), "door")
    door = [(29, 46), (78, 46), (74, 80), (34, 80)]
    pen.polygon(door, paint.shaded(6), "door")
    handles = [(x, 52, x + 6, 56) for x in (45, 66)]
    pen.rects(handles, pen.coat("metal", "grey", level=200), "door/handle")
    pen.oval(
        0, 50, 7, 64, pen.coat("glass", "yellow", "white", level=210), "headlight"
    )
    pen.rect(0, 74, 100, 82, pen.coat("plastic", "black", "grey"), "bumper")
    _wheels(pen, (12, 70), 58, 19)


@sketch("car", height=30, aspect=120)
def oncoming_car(pen: Pen) -> None:
    """Draw a car from the front."""
    paint = pen.coat("metal", cell=90)
    wheels = [(x, 70, x + 18, 100) for x in (6, 76)]
    pen.rects(wheels, pen.coat("rubber", "black"), "wheel")
    cabin = [(14, 46), (26, 0), (74, 0), (86, 46)]
    pen.blob(cabin, paint.shaded(14))
    body = [(0, 90), (2, 44), (20, 36), (80, 36), (98, 44), (100, 90)]
    pen.blob(body, paint)
    windscreen = [(20, 38), (30, 8), (70, 8), (80, 38)]
    pen.polygon(windscreen, window_glass(pen), "window")
    bars = ("grid", "striped", "banded")
    grille = pen.printed("metal", "grey", "black", textures=bars, period=9)
    pen.rect(32, 54, 68, 68, grille, "grille")
    for x in (8, 76):
        lamp = pen.coat("glass", "yellow", "white", level=220)
        pen.oval(x, 50, x + 17, 68, lamp, "headlight")
    pen.rect(0, 74, 100, 84, pen.coat("plastic", "black", "grey"), "bumper")
    pen.rect(38, 73, 62, 83, pen.coat("metal", "white", "yellow"), "license plate")


@sketch("bus", height=36, aspect=215)
def bus(pen: Pen) -> None:
    """Draw a bus from the side."""
    colors = ("yellow", "yellow", "red", "blue", "green", "white")
    paint = pen.coat("metal", *colors, cell=90)
    glass = window_glass(pen)
    body = [(-2, 90), (-2, 8), (4, 0), (98, 0), (102, 6), (102, 90)]
    pen.blob(body, paint)
    windows = [(x, 14, x + 12, 42) for x in range(16, 92, 15)]
    pen.rects(windows, glass, "window")
    pen.rect(2, 14, 13, 86, glass.shaded(-30), "door")
    pen.rect(7, 14, 8, 86, paint.shaded(-60), "door")
    pen.rect(0, 56, 100, 61, pen.coat("metal", "black", "white", "red"))
    pen.rect(0, 84, 100, 90, pen.coat("plastic", "black"), "bumper")
    pen.oval(
        0, 70, 4, 80, pen.coat("glass", "yellow", "white", level=220), "headlight"
    )
    _wheels(pen, (18, 74), 72, 14)


def _wheels(pen: Pen, columns: tuple[int, int], top: int, width: int) -> None:
    """Draw a wheel in each column, from ``top`` to the ground."""
    tyre = pen.coat("rubber", "black", level=90, light="round")
    hub = pen.coat("metal", "grey", "white", level=150, light="round")
    for x in columns:
        wheel = pen.inset(x, top, x + width, 101)
        wheel.oval(0, 0, 100, 100, tyre, "wheel")
        wheel.oval(24, 24, 76, 76, hub, "wheel/hub")
        wheel.oval(42, 42, 58, 58, hub.shaded(-110), "wheel/hub")


@sketch("boat", height=52, aspect=84)
def sailboat(pen: Pen) -> None:
    """Draw a sailing boat."""
    colors = ("white", "white", "red", "yellow", "orange", "blue")
    cloth = pen.dressed("fabric", *colors, period=22, percent=40)
    pen.rect(46, 0, 49, 84, pen.coat("wood", "brown", light="tube"), "mast")
    mainsail = [(51, 2), (52, 4), (98, 72), (96, 74), (51, 74)]
    pen.blob(mainsail, cloth, "sail")
    jib = [(44, 14), (44, 72), (10, 72)]
    pen.blob(jib, cloth.shaded(-24), "sail")
    flag = [(47, -2), (64, 3), (47, 8)]
    pen.polygon(flag, pen.coat("fabric", "red", "yellow", "blue"), "flag")
    material = pen.dice.pick(("wood", "plastic"))
    hull = [(0, 78), (50, 81), (100, 78), (100, 78), (86, 102), (16, 102)]
    pen.blob(hull, pen.coat(material, cell=8), "hull")


@sketch("boat", height=26, aspect=200)
def ship(pen: Pen) -> None:
    """Draw a ship with a funnel."""
    funnel = [(58, 36), (60, 0), (70, 0), (72, 36)]
    pen.blob(
        funnel, pen.printed("metal", textures=("banded",), period=60), "funnel"
    )
    pen.rect(24, 26, 82, 62, pen.coat("metal", "white", cell=60), "cabin")
    for x in range(28, 78, 10):
        pen.oval(x, 34, x + 6, 46, window_glass(pen), "cabin/pane")
    hull = [(0, 56), (100, 56), (90, 100), (12, 100)]
    pen.polygon(hull, pen.coat("metal", cell=60), "hull")
