"""Things for a day outdoors."""

from __future__ import annotations

from nd_shapes.pen import Pen, sketch


@sketch("umbrella", height=52, aspect=110)
def umbrella(pen: Pen) -> None:
    """Draw an umbrella, or a parasol."""
    metal = pen.coat("metal", "grey", "brown", light="tube")
    pen.rect(48, 10, 51, 100, metal, "pole")
    cloth = pen.dressed("fabric", period=26, light="round", percent=75)
    dome = [(0, 48), (14, 12), (50, -4), (86, 12), (100, 48)]
    scalloped_hem = [(84, 40), (67, 50), (50, 40), (33, 50), (16, 40)]
    pen.blob([*dome, *scalloped_hem], cloth, "canopy")


@sketch("ball", height=18, aspect=100)
def ball(pen: Pen) -> None:
    """Draw a ball."""
    material = pen.dice.pick(("plastic", "leather"))
    period = pen.dice.whole(30, 50)
    skin = pen.dressed(material, period=period, light="round", percent=70)
    pen.oval(0, 0, 100, 100, skin)


@sketch("towel", height=13, aspect=340)
def towel(pen: Pen) -> None:
    """Draw a towel on the ground."""
    outline = [(14, 0), (100, 0), (86, 100), (0, 100)]
    pen.polygon(outline, pen.printed("fabric", period=40))


@sketch("bench", height=26, aspect=190)
def bench(pen: Pen) -> None:
    """Draw a park bench."""
    wood = pen.coat("wood", "brown", "green", cell=14)
    iron = pen.coat("metal", "black", "grey")
    legs = [(x, 40, x + 5, 100) for x in (10, 84)]
    pen.rects(legs, iron, "leg")
    slats = [(2, y, 98, y + 12) for y in (0, 16, 32)]
    pen.rects(slats, wood, "back")
    seat = [(4, 50), (96, 50), (102, 66), (-2, 66)]
    pen.polygon(seat, wood.shaded(24), "seat")
