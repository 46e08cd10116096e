"""Birds, butterflies and fish."""

from __future__ import annotations

from nd_shapes.faces import eye
from nd_shapes.pen import LEFT_AND_RIGHT, Pen, from_middle, sketch

_FISH_COLORS = (
    "orange",
    "red",
    "yellow",
    "blue",
    "purple",
    "green",
    "grey",
    "pink",
)
_FISH_TEXTURES = ("scaly", "scaly", "scaly", "striped", "banded", "polka-dotted")


@sketch("bird", height=18, aspect=125)
def bird(pen: Pen) -> None:
    """Draw a bird on its feet."""
    plumage = pen.coat("feather", light="round", cell=10)
    wing_feathers = pen.dressed("feather", period=12, percent=35)
    horn = pen.coat("", "orange", "yellow", "black", level=150)
    for x in (46, 56):
        foot = [(x + 9, 100), (x - 6, 100), (x, 96)]
        leg = [(x, 74), (x + 3, 74), (x + 3, 96), *foot]
        pen.polygon(leg, horn.shaded(-30), "leg")
    tail = [(72, 54), (100, 50), (98, 68), (76, 68)]
    pen.polygon(tail, plumage.shaded(-40), "tail")
    torso = [(18, 34), (44, 26), (82, 48), (78, 70), (52, 86), (26, 74)]
    pen.blob(torso, plumage, "torso")
    beak = [(14, 18), (-6, 28), (14, 38)]
    pen.polygon(beak, horn, "head/beak")
    pen.oval(8, 6, 42, 46, plumage.shaded(20), "head")
    eye(pen, 20, 22, 5)
    wing = [(40, 40), (64, 40), (92, 64), (60, 72), (42, 62)]
    pen.blob(wing, wing_feathers.shaded(-15), "wing")


@sketch("bird", height=10, aspect=190)
def gull(pen: Pen) -> None:
    """Draw a bird on the wing."""
    plumage = pen.coat("feather", "white", "grey", "black", cell=10)
    first_wing = [(50, 60), (30, 20), (0, 10), (26, 44), (44, 84)]
    pen.blob(first_wing, plumage, "wing")
    second_wing = [(50, 60), (70, 20), (100, 10), (74, 44), (56, 84)]
    pen.blob(second_wing, plumage.shaded(-16), "wing")
    pen.oval(43, 48, 59, 92, plumage.shaded(10), "torso")
    pen.oval(40, 40, 51, 66, plumage.shaded(20), "head")
    beak = [(41, 50), (34, 56), (42, 58)]
    pen.polygon(beak, pen.coat("", "orange", level=160), "head/beak")


@sketch("butterfly", height=15, aspect=125)
def butterfly(pen: Pen) -> None:
    """Draw a butterfly with its wings spread."""
    colors = ("orange", "yellow", "blue", "pink", "red", "purple")
    scales = pen.printed("", *colors, period=18, level=150)
    for side in LEFT_AND_RIGHT:
        lower_wing = from_middle(side, [(2, 46), (40, 54), (36, 96), (14, 92)])
        pen.blob(lower_wing, scales.shaded(-30), "wing")
        upper_wing = from_middle(side, [(2, 50), (10, 10), (50, 0), (48, 52)])
        pen.blob(upper_wing, scales, "wing")
        antenna = from_middle(side, [(0, 26), (14, 2), (17, 2), (3, 28)])
        pen.polygon(antenna, pen.coat("", "black"), "antenna")
    pen.oval(45, 22, 55, 92, pen.coat("", "black", "brown"), "torso")


@sketch("fish", height=20, aspect=165)
def fish(pen: Pen) -> None:
    """Draw a fish."""
    skin = pen.printed("skin", *_FISH_COLORS, textures=_FISH_TEXTURES)
    fin = pen.coat("skin", "orange", "yellow", "red", "blue", level=150)
    tail = [(74, 50), (88, 20), (102, 6), (94, 50), (102, 94), (88, 80)]
    pen.blob(tail, fin, "tail")
    back_fin = [(30, 24), (44, 0), (66, 4), (72, 28)]
    pen.blob(back_fin, fin, "fin")
    belly_fin = [(34, 76), (42, 98), (56, 96), (54, 76)]
    pen.blob(belly_fin, fin, "fin")
    back = [(0, 48), (16, 18), (52, 10), (86, 44)]
    belly = [(86, 56), (52, 90), (16, 82), (0, 56)]
    pen.blob([*back, *belly], skin, "torso")
    head = [(0, 48), (10, 24), (26, 20), (30, 50), (26, 82), (10, 76), (0, 56)]
    pen.blob(head, fin.shaded(20), "head")
    side_fin = [(40, 46), (58, 40), (62, 60), (46, 60)]
    pen.blob(side_fin, fin.shaded(-30), "fin")
    eye(pen.inset(0, 0, 60, 100), 26, 42, 9)
