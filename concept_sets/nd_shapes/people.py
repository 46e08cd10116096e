"""People."""

from __future__ import annotations

from nd_shapes.canvas import Coat
from nd_shapes.faces import eye
from nd_shapes.pen import LEFT_AND_RIGHT, Pen, from_middle, sketch


@sketch("person", height=58, aspect=44)
def person(pen: Pen) -> None:
    """Draw a person who faces the camera, in trousers or in a dress."""
    skin = pen.coat("skin", "skin", level=150)
    shirt = pen.dressed("fabric", period=pen.dice.whole(12, 24))
    trousers = pen.dressed("fabric", period=16, percent=15)
    shoe = pen.coat("leather", "black", "brown", "red", "white")
    wears_dress = pen.dice.chance(35)
    _legs(pen, skin if wears_dress else trousers.shaded(-6), shoe)
    _arms(pen, shirt, skin)
    if wears_dress:
        torso = [(26, 24), (74, 24), (90, 78), (10, 78)]
    else:
        torso = [(26, 24), (74, 24), (76, 64), (24, 64)]
    pen.blob(torso, shirt, "torso")
    pen.rect(42, 18, 58, 27, skin.shaded(-24), "neck")
    _face(pen.inset(22, 0, 78, 24), skin)


def _legs(pen: Pen, coat: Coat, shoe: Coat) -> None:
    for x in (31, 53):
        pen.rect(x, 58, x + 16, 96, coat, "leg")
        foot = [(x - 5, 93), (x + 17, 93), (x + 17, 100), (x - 7, 100)]
        pen.blob(foot, shoe, "leg/foot")


def _arms(pen: Pen, sleeve: Coat, skin: Coat) -> None:
    for side in LEFT_AND_RIGHT:
        arm = from_middle(side, [(24, 24), (34, 30), (44, 58), (34, 60), (22, 38)])
        pen.blob(arm, sleeve, "arm")
        hand_x = 50 + side * 40
        pen.oval(hand_x - 7, 54, hand_x + 7, 62, skin, "arm/hand")


def _face(pen: Pen, skin: Coat) -> None:
    """Draw a head, with long hair and a hat sometimes."""
    colors = ("black", "brown", "yellow", "orange", "grey", "red")
    hair = pen.coat("hair", *colors, cell=30)
    if pen.dice.chance(50):
        long_hair = [(2, 30), (98, 30), (104, 112), (-4, 112)]
        pen.blob(long_hair, hair.shaded(-20), "head")
    pen.oval(8, 4, 92, 100, skin, "head")
    for x in (33, 67):
        eye(pen, x, 54, 7)
    mouth = [(32, 74), (68, 74), (58, 86), (42, 86)]
    pen.blob(mouth, pen.coat("skin", "red", level=150), "head/mouth")
    top_hair = [(2, 50), (8, 2), (50, -14), (92, 2), (98, 50), (78, 28), (40, 30)]
    pen.blob(top_hair, hair, "head")
    if pen.dice.chance(30):
        _hat(pen)


def _hat(pen: Pen) -> None:
    felt = pen.dressed("fabric", period=40)
    crown = [(12, 24), (18, -24), (82, -24), (88, 24)]
    pen.blob(crown, felt, "head/hat")
    pen.rect(-6, 14, 106, 26, felt.shaded(-30), "head/hat")
