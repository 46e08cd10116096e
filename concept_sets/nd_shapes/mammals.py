"""Pets and grazing animals."""

from __future__ import annotations

from nd_shapes.canvas import Coat
from nd_shapes.faces import eye, pink_skin
from nd_shapes.pen import LEFT_AND_RIGHT, Pen, from_middle, sketch
from nd_shapes.raster import Point

_FURS = ("brown", "brown", "black", "grey", "white", "orange")


@sketch("dog", height=34, aspect=125)
def dog(pen: Pen) -> None:
    """Draw a dog from the side."""
    fur = pen.coat("fur", *_FURS, cell=8)
    tail = [(84, 46), (90, 20), (99, 8), (100, 22), (92, 56)]
    pen.blob(tail, fur, "tail")
    _legs(pen, fur, 33, 84, 58, 11)
    back = [(24, 36), (88, 36), (96, 52)]
    belly = [(86, 72), (56, 66), (34, 76), (20, 60)]
    pen.blob([*back, *belly], fur, "torso")
    neck = [(18, 30), (36, 26), (46, 50), (26, 62)]
    pen.blob(neck, fur.shaded(-10), "neck")
    nose = pen.coat("", "black", level=110)
    _face_of_dog(pen.inset(0, 0, 46, 54), fur, nose)
    if pen.dice.chance(60):
        leather = pen.coat("leather", "red", "blue", "green", "yellow")
        collar = [(21, 44), (44, 34), (47, 42), (24, 53)]
        pen.polygon(collar, leather, "neck/collar")


def _face_of_dog(pen: Pen, fur: Coat, nose: Coat) -> None:
    dark = fur.shaded(-50)
    skull = [(24, 50), (22, 14), (70, 6), (98, 40)]
    jaw = [(84, 84), (44, 92), (4, 84), (0, 60)]
    pen.blob([*skull, *jaw], fur.shaded(10), "head")
    ear = [(62, 4), (88, 10), (100, 60), (88, 88), (70, 66)]
    pen.blob(ear, dark, "head/ear")
    pen.oval(0, 54, 20, 72, nose, "head/nose")
    mouth = [(10, 80), (44, 78), (44, 83), (12, 86)]
    pen.polygon(mouth, dark.shaded(-40), "head/mouth")
    eye(pen, 44, 36, 9)


@sketch("dog", height=40, aspect=82)
def puppy(pen: Pen) -> None:
    """Draw a dog that sits and looks at the camera."""
    fur = pen.coat("fur", *_FURS, cell=8)
    muzzle = pen.coat("fur", "white", "brown", level=150)
    tail = [(78, 78), (100, 58), (104, 70), (92, 94), (74, 98)]
    pen.blob(tail, fur.shaded(-20), "tail")
    torso = [(28, 42), (72, 42), (94, 100), (6, 100)]
    pen.blob(torso, fur.shaded(-10), "torso")
    for x in (30, 54):
        leg = [(x, 60), (x + 16, 60), (x + 18, 101), (x - 2, 101)]
        pen.blob(leg, fur.shaded(8), "leg")
    face = pen.inset(14, 0, 86, 58)
    head = [(16, 8), (84, 8), (94, 60), (66, 100), (34, 100), (6, 60)]
    face.blob(head, fur.shaded(10), "head")
    for side in LEFT_AND_RIGHT:
        ear = from_middle(side, [(28, 4), (48, 8), (56, 62), (42, 76), (34, 40)])
        face.blob(ear, fur.shaded(-50), "head/ear")
        eye(face, 50 + side * 19, 40, 8)
    face.oval(30, 50, 70, 98, muzzle, "head/muzzle")
    face.oval(40, 52, 60, 68, pen.coat("", "black", level=110), "head/nose")
    mouth = [(42, 80), (58, 80), (57, 98), (43, 98)]
    face.blob(mouth, pen.coat("skin", "pink", "red", level=170), "head/mouth")


@sketch("cat", height=34, aspect=80)
def cat(pen: Pen) -> None:
    """Draw a cat that sits and looks at the camera, plain or tabby."""
    fur = pen.coat("fur", *_FURS, cell=8)
    if pen.dice.chance(35):
        textures = ("striped", "banded")
        fur = pen.printed(
            "fur", "orange", "grey", "brown", textures=textures, period=14
        )
    tail = [(80, 86), (96, 84), (84, 52), (104, 46), (110, 92), (84, 104)]
    pen.blob(tail, fur.shaded(-25), "tail")
    torso = [(28, 44), (72, 44), (92, 100), (8, 100)]
    pen.blob(torso, fur.shaded(-8), "torso")
    for x in (32, 54):
        leg = [(x, 66), (x + 14, 66), (x + 16, 101), (x - 2, 101)]
        pen.blob(leg, fur.shaded(18), "leg")
    face = pen.inset(12, 0, 88, 56)
    _face_of_cat(pen, face, fur)


def _face_of_cat(pen: Pen, face: Pen, fur: Coat) -> None:
    """Draw the face with its own pen; the cat's pen sets the relief of skin and whiskers."""
    for side in LEFT_AND_RIGHT:
        ear = from_middle(side, [(44, 50), (44, 0), (8, 22)])
        face.polygon(ear, fur.shaded(-30), "head/ear")
        inner_ear = from_middle(side, [(38, 34), (38, 12), (20, 24)])
        face.polygon(inner_ear, pink_skin(pen), "head/ear")
    head = [(20, 18), (80, 18), (100, 60), (76, 100), (24, 100), (0, 60)]
    face.blob(head, fur, "head")
    iris_color = pen.dice.pick(("green", "yellow", "blue"))
    for side in LEFT_AND_RIGHT:
        eye(face, 50 + 20 * side, 50, 10, iris_color)
    nose = [(43, 66), (57, 66), (50, 76)]
    face.polygon(nose, pink_skin(pen), "head/nose")
    whiskers = []
    for root, tip in ((38, 4), (62, 96)):
        for y in (74, 82):
            whiskers.append([(root, y), (tip, y - 4), (tip, y - 1), (root, y + 2)])
    face.polygons(whiskers, pen.coat("hair", "white"), "head")


@sketch("horse", height=46, aspect=110)
def horse(pen: Pen) -> None:
    """Draw a horse from the side."""
    hide = pen.coat("fur", "brown", "brown", "black", "white", "grey")
    mane = pen.coat("hair", "black", "brown")
    _build_of_horse(pen, hide, mane)


@sketch("zebra", height=46, aspect=110)
def zebra(pen: Pen) -> None:
    """Draw a zebra: a horse in stripes."""
    period = pen.dice.whole(9, 13)
    hide = pen.printed(
        "fur", "white", "black", textures=("striped",), period=period
    )
    mane = pen.coat("hair", "black")
    _build_of_horse(pen, hide, mane)


def _build_of_horse(pen: Pen, hide: Coat, hair: Coat) -> None:
    tail = [(88, 34), (96, 34), (100, 74), (92, 78)]
    pen.blob(tail, hair, "tail")
    _legs(pen, hide, 34, 84, 56, 9)
    torso = [(26, 34), (88, 30), (96, 44), (88, 66), (34, 66), (24, 52)]
    pen.blob(torso, hide, "torso")
    neck = [(16, 6), (30, 4), (46, 36), (38, 58), (22, 50)]
    pen.blob(neck, hide, "neck")
    mane = [(24, 0), (30, 0), (50, 34), (42, 38), (28, 14)]
    pen.blob(mane, hair, "neck/mane")
    head = [(14, 2), (28, 4), (26, 20), (8, 36), (0, 34), (0, 26)]
    pen.blob(head, hide.shaded(10), "head")
    ear = [(20, 6), (24, -4), (27, 8)]
    pen.polygon(ear, hide.shaded(-30), "head/ear")
    pen.oval(0, 25, 8, 37, hide.shaded(-70), "head/muzzle")
    pen.oval(14, 10, 18, 15, pen.coat("", "black", level=40), "head/eye")


@sketch("cow", height=44, aspect=125)
def cow(pen: Pen) -> None:
    """Draw a cow with blotches."""
    blotches = ("blotchy",)
    hide = pen.printed(
        "fur", "white", "brown", "black", textures=blotches, period=11
    )
    tail = [(92, 34), (98, 40), (99, 78), (95, 78)]
    pen.blob(tail, hide.shaded(-40), "tail")
    _legs(pen, hide, 30, 84, 60, 11)
    torso = [(18, 28), (90, 28), (98, 44), (92, 74), (30, 76), (18, 54)]
    pen.blob(torso, hide, "torso")
    pen.oval(62, 64, 80, 80, pink_skin(pen), "torso")
    head = [(6, 12), (26, 12), (32, 24), (24, 52), (8, 52), (2, 24)]
    pen.blob(head, hide.shaded(10), "head")
    for x, tip in ((7, 2), (25, 30)):
        horn = [(x - 3, 16), (x + 4, 16), (tip, -4)]
        pen.polygon(horn, pen.coat("", "white"), "head/horn")
        pen.oval(x - 6, 16, x + 6, 24, hide.shaded(-20), "head/ear")
        eye_x = (x + 16) // 2
        pen.oval(
            eye_x - 2,
            26,
            eye_x + 2,
            32,
            pen.coat("", "black", level=40),
            "head/eye",
        )
    pen.oval(6, 42, 26, 58, pink_skin(pen), "head/muzzle")


@sketch("sheep", height=30, aspect=125)
def sheep(pen: Pen) -> None:
    """Draw a sheep with a dark face."""
    wool = pen.coat("fur", "white", level=110, cell=20)
    dark = pen.coat("skin", "black", level=90)
    _legs(pen, dark, 32, 78, 66, 8)
    for x, y in (
        (16, 30),
        (34, 22),
        (54, 20),
        (70, 28),
        (20, 46),
        (66, 46),
        (42, 46),
    ):
        pen.oval(x, y, x + 30, y + 36, wool, "torso")
    head = [(4, 16), (28, 14), (32, 36), (20, 60), (6, 58), (0, 36)]
    pen.blob(head, dark.shaded(40), "head")
    pen.oval(20, 22, 38, 34, dark, "head/ear")
    pen.oval(4, 8, 30, 26, wool, "head")
    eye(pen, 12, 34, 4)


def _legs(
    pen: Pen, coat: Coat, front: int, hind: int, top: int, width: int
) -> None:
    """Draw four legs down to the ground; the two on the far side are darker."""
    gap = width * 3 // 2
    for x in (front + gap, hind - gap):
        pen.polygon(_leg(x, top, width), coat.shaded(-45), "leg")
    for x in (front, hind):
        pen.polygon(_leg(x, top, width), coat, "leg")


def _leg(x: int, top: int, width: int) -> list[Point]:
    """Return the outline of a leg that narrows towards the foot."""
    half_width = width // 2
    foot_width = width // 3
    upper_edge = [(x - half_width, top), (x + width - half_width, top)]
    lower_edge = [(x + foot_width + 1, 100), (x - foot_width, 100)]
    return [*upper_edge, *lower_edge]
