"""Things beside a road."""

from __future__ import annotations

from nd_shapes.pen import Pen, sketch


@sketch("fence", height=16, aspect=300)
def fence(pen: Pen) -> None:
    """Draw a picket fence."""
    wood = pen.coat("wood", "white", "white", "brown", "green", cell=60)
    pen.rects([(0, y, 100, y + 10) for y in (34, 68)], wood.shaded(-24))
    pickets = []
    for x in range(1, 100, 9):
        pickets.append([(x, 14), (x + 3, 0), (x + 6, 14), (x + 6, 100), (x, 100)])
    pen.polygons(pickets, wood, "picket")


@sketch("traffic light", height=50, aspect=30)
def traffic_light(pen: Pen) -> None:
    """Draw a traffic light with one of its lamps lit."""
    pen.rect(
        43, 50, 57, 100, pen.coat("metal", "grey", "black", light="tube"), "pole"
    )
    pen.rect(10, 0, 90, 54, pen.coat("plastic", "black", "yellow", level=70))
    lit_lamp = pen.dice.whole(0, 2)
    for index, color in enumerate(("red", "yellow", "green")):
        level = 220 if index == lit_lamp else 50
        glass = pen.coat("glass", color, level=level, light="round", cell=90)
        y = 4 + index * 16
        pen.oval(26, y, 74, y + 15, glass, "bulb")


@sketch("streetlight", height=74, aspect=30)
def streetlight(pen: Pen) -> None:
    """Draw a street lamp."""
    iron = pen.coat("metal", "black", "grey", light="tube")
    pen.rect(45, 14, 55, 100, iron, "pole")
    pen.rect(34, 94, 66, 100, iron, "pole")
    pen.lighten(-60, -30, 160, 44, 34)
    bulb = [(16, 16), (30, 0), (70, 0), (84, 16), (62, 22), (38, 22)]
    pen.blob(bulb, pen.coat("glass", "yellow", level=225), "bulb")
    cap = [(24, 4), (50, -6), (76, 4)]
    pen.polygon(cap, iron, "cap")
