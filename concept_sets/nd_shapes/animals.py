"""Animals and people."""

from __future__ import annotations

from nd_shapes.canvas import Coat
from nd_shapes.pen import Pen, sketch

FURS = ("brown", "brown", "black", "grey", "white", "orange")


def _eye(pen: Pen, x: int, y: int, radius: int, *iris: str) -> None:
    pen.oval(
        x - radius,
        y - radius,
        x + radius,
        y + radius,
        pen.coat("", *(iris or ("white",)), level=200),
        "head/eye",
    )
    half = radius * 5 // 9
    pen.oval(x - half, y - half, x + half, y + half, pen.coat("", "black", level=40), "head/eye")
    pen.oval(x - half, y - half, x, y, pen.coat("", "white", level=240), "head/eye")


def _legs(pen: Pen, coat: Coat, left: int, right: int, top: int, wide: int) -> None:
    """Four legs, the far ones darker."""
    gap = wide * 3 // 2
    for x, change in ((left + gap, -45), (right - gap, -45), (left, 0), (right, 0)):
        pen.polygon(
            [
                (x - wide // 2, top),
                (x + wide - wide // 2, top),
                (x + wide // 3 + 1, 100),
                (x - wide // 3, 100),
            ],
            coat.shaded(change),
            "leg",
        )


@sketch("dog", height=34, aspect=125)
def dog(pen: Pen) -> None:
    """A dog from the side."""
    fur = pen.coat("fur", *FURS, cell=8)
    dark = fur.shaded(-50)
    pen.blob([(84, 46), (90, 20), (99, 8), (100, 22), (92, 56)], fur, "tail")
    _legs(pen, fur, 33, 84, 58, 11)
    pen.blob([(24, 36), (88, 36), (96, 52), (86, 72), (56, 66), (34, 76), (20, 60)], fur, "torso")
    pen.blob([(18, 30), (36, 26), (46, 50), (26, 62)], fur.shaded(-10), "neck")
    face = pen.inset(0, 0, 46, 54)
    face.blob(
        [(22, 14), (70, 6), (98, 40), (84, 84), (44, 92), (4, 84), (0, 60), (24, 50)],
        fur.shaded(10),
        "head",
    )
    face.blob([(62, 4), (88, 10), (100, 60), (88, 88), (70, 66)], dark, "head/ear")
    face.oval(0, 54, 20, 72, pen.coat("", "black", level=110), "head/nose")
    face.polygon([(10, 80), (44, 78), (44, 83), (12, 86)], dark.shaded(-40), "head/mouth")
    _eye(face, 44, 36, 9)
    if pen.dice.chance(60):
        band = pen.coat("leather", "red", "blue", "green", "yellow")
        pen.polygon([(21, 44), (44, 34), (47, 42), (24, 53)], band, "neck/collar")


@sketch("dog", height=40, aspect=82)
def puppy(pen: Pen) -> None:
    """A dog that sits and looks at the camera."""
    fur, muzzle = pen.coat("fur", *FURS, cell=8), pen.coat("fur", "white", "brown", level=150)
    pen.blob([(78, 78), (100, 58), (104, 70), (92, 94), (74, 98)], fur.shaded(-20), "tail")
    pen.blob([(28, 42), (72, 42), (94, 100), (6, 100)], fur.shaded(-10), "torso")
    for left in (30, 54):
        pen.blob(
            [(left, 60), (left + 16, 60), (left + 18, 101), (left - 2, 101)], fur.shaded(8), "leg"
        )
    face = pen.inset(14, 0, 86, 58)
    face.blob([(16, 8), (84, 8), (94, 60), (66, 100), (34, 100), (6, 60)], fur.shaded(10), "head")
    for sign in (-1, 1):
        ear = [(50 + sign * x, y) for x, y in ((28, 4), (48, 8), (56, 62), (42, 76), (34, 40))]
        face.blob(ear, fur.shaded(-50), "head/ear")
        _eye(face, 50 + sign * 19, 40, 8)
    face.oval(30, 50, 70, 98, muzzle, "head/muzzle")
    face.oval(40, 52, 60, 68, pen.coat("", "black", level=110), "head/nose")
    face.blob(
        [(42, 80), (58, 80), (57, 98), (43, 98)],
        pen.coat("skin", "pink", "red", level=170),
        "head/mouth",
    )


@sketch("cat", height=34, aspect=80)
def cat(pen: Pen) -> None:
    """A cat that sits and looks at the camera, tabby or plain."""
    fur = pen.coat("fur", *FURS, cell=8)
    if pen.dice.chance(35):
        fur = pen.printed(
            "fur", "orange", "grey", "brown", textures=("striped", "banded"), period=14
        )
    pen.blob(
        [(80, 86), (96, 84), (84, 52), (104, 46), (110, 92), (84, 104)], fur.shaded(-25), "tail"
    )
    pen.blob([(28, 44), (72, 44), (92, 100), (8, 100)], fur.shaded(-8), "torso")
    for left in (32, 54):
        pen.blob(
            [(left, 66), (left + 14, 66), (left + 16, 101), (left - 2, 101)], fur.shaded(18), "leg"
        )
    face = pen.inset(12, 0, 88, 56)
    for sign in (-1, 1):
        ear = [(50 + sign * x, y) for x, y in ((44, 50), (44, 0), (8, 22))]
        face.polygon(ear, fur.shaded(-30), "head/ear")
        face.polygon(
            [(50 + sign * x, y) for x, y in ((38, 34), (38, 12), (20, 24))], _inner(pen), "head/ear"
        )
    face.blob([(20, 18), (80, 18), (100, 60), (76, 100), (24, 100), (0, 60)], fur, "head")
    iris = pen.dice.pick(("green", "yellow", "blue"))
    for sign in (-1, 1):
        _eye(face, 50 + 20 * sign, 50, 10, iris)
    face.polygon([(43, 66), (57, 66), (50, 76)], _inner(pen), "head/nose")
    ends = [(x, end, y) for x, end in ((38, 4), (62, 96)) for y in (74, 82)]
    whiskers = [[(x, y), (end, y - 4), (end, y - 1), (x, y + 2)] for x, end, y in ends]
    face.polygons(whiskers, pen.coat("hair", "white"), "head")


def _inner(pen: Pen) -> Coat:
    return pen.coat("skin", "pink", level=140)


def _horse(pen: Pen, coat: Coat, mane: Coat) -> None:
    """A horse's build, from the side."""
    pen.blob([(88, 34), (96, 34), (100, 74), (92, 78)], mane, "tail")
    _legs(pen, coat, 34, 84, 56, 9)
    pen.blob([(26, 34), (88, 30), (96, 44), (88, 66), (34, 66), (24, 52)], coat, "torso")
    pen.blob([(16, 6), (30, 4), (46, 36), (38, 58), (22, 50)], coat, "neck")
    pen.blob([(24, 0), (30, 0), (50, 34), (42, 38), (28, 14)], mane, "neck/mane")
    pen.blob([(14, 2), (28, 4), (26, 20), (8, 36), (0, 34), (0, 26)], coat.shaded(10), "head")
    pen.polygon([(20, 6), (24, -4), (27, 8)], coat.shaded(-30), "head/ear")
    pen.oval(0, 25, 8, 37, coat.shaded(-70), "head/muzzle")
    pen.oval(14, 10, 18, 15, pen.coat("", "black", level=40), "head/eye")


@sketch("horse", height=46, aspect=110)
def horse(pen: Pen) -> None:
    """A horse."""
    _horse(
        pen,
        pen.coat("fur", "brown", "brown", "black", "white", "grey"),
        pen.coat("hair", "black", "brown"),
    )


@sketch("zebra", height=46, aspect=110)
def zebra(pen: Pen) -> None:
    """A zebra: a horse in stripes."""
    coat = pen.printed("fur", "white", "black", textures=("striped",), period=pen.dice.whole(9, 13))
    _horse(pen, coat, pen.coat("hair", "black"))


@sketch("cow", height=44, aspect=125)
def cow(pen: Pen) -> None:
    """A cow with blotches."""
    coat = pen.printed("fur", "white", "brown", "black", textures=("blotchy",), period=11)
    pen.blob([(92, 34), (98, 40), (99, 78), (95, 78)], coat.shaded(-40), "tail")
    _legs(pen, coat, 30, 84, 60, 11)
    pen.blob([(18, 28), (90, 28), (98, 44), (92, 74), (30, 76), (18, 54)], coat, "torso")
    pen.oval(62, 64, 80, 80, _inner(pen), "torso")
    pen.blob([(6, 12), (26, 12), (32, 24), (24, 52), (8, 52), (2, 24)], coat.shaded(10), "head")
    for x, tip in ((7, 2), (25, 30)):
        pen.polygon([(x - 3, 16), (x + 4, 16), (tip, -4)], pen.coat("", "white"), "head/horn")
        pen.oval(x - 6, 16, x + 6, 24, coat.shaded(-20), "head/ear")
        pen.oval(
            (x + 16) // 2 - 2,
            26,
            (x + 16) // 2 + 2,
            32,
            pen.coat("", "black", level=40),
            "head/eye",
        )
    pen.oval(6, 42, 26, 58, _inner(pen), "head/muzzle")


@sketch("sheep", height=30, aspect=125)
def sheep(pen: Pen) -> None:
    """A sheep with a dark face."""
    wool, dark = pen.coat("fur", "white", level=110, cell=20), pen.coat("skin", "black", level=90)
    _legs(pen, dark, 32, 78, 66, 8)
    for x, y in ((16, 30), (34, 22), (54, 20), (70, 28), (20, 46), (66, 46), (42, 46)):
        pen.oval(x, y, x + 30, y + 36, wool, "torso")
    pen.blob([(4, 16), (28, 14), (32, 36), (20, 60), (6, 58), (0, 36)], dark.shaded(40), "head")
    pen.oval(20, 22, 38, 34, dark, "head/ear")
    pen.oval(4, 8, 30, 26, wool, "head")
    _eye(pen, 12, 34, 4)


@sketch("bird", height=18, aspect=125)
def bird(pen: Pen) -> None:
    """A bird on its feet."""
    plumage, wing = (
        pen.coat("feather", light="round", cell=10),
        pen.dressed("feather", period=12, percent=35),
    )
    beak = pen.coat("", "orange", "yellow", "black", level=150)
    for x in (46, 56):
        pen.polygon(
            [(x, 74), (x + 3, 74), (x + 3, 96), (x + 9, 100), (x - 6, 100), (x, 96)],
            beak.shaded(-30),
            "leg",
        )
    pen.polygon([(72, 54), (100, 50), (98, 68), (76, 68)], plumage.shaded(-40), "tail")
    pen.blob([(18, 34), (44, 26), (82, 48), (78, 70), (52, 86), (26, 74)], plumage, "torso")
    pen.polygon([(14, 18), (-6, 28), (14, 38)], beak, "head/beak")
    pen.oval(8, 6, 42, 46, plumage.shaded(20), "head")
    _eye(pen, 20, 22, 5)
    pen.blob([(40, 40), (64, 40), (92, 64), (60, 72), (42, 62)], wing.shaded(-15), "wing")


@sketch("bird", height=10, aspect=190)
def gull(pen: Pen) -> None:
    """A bird on the wing."""
    plumage = pen.coat("feather", "white", "grey", "black", cell=10)
    pen.blob([(50, 60), (30, 20), (0, 10), (26, 44), (44, 84)], plumage, "wing")
    pen.blob([(50, 60), (70, 20), (100, 10), (74, 44), (56, 84)], plumage.shaded(-16), "wing")
    pen.oval(43, 48, 59, 92, plumage.shaded(10), "torso")
    pen.oval(40, 40, 51, 66, plumage.shaded(20), "head")
    pen.polygon([(41, 50), (34, 56), (42, 58)], pen.coat("", "orange", level=160), "head/beak")


@sketch("fish", height=20, aspect=165)
def fish(pen: Pen) -> None:
    """A fish."""
    skin = pen.printed(
        "skin", "orange", "red", "yellow", "blue", "purple", "green", "grey", "pink", textures=_FISH
    )
    fin = pen.coat("skin", "orange", "yellow", "red", "blue", level=150)
    pen.blob([(74, 50), (88, 20), (102, 6), (94, 50), (102, 94), (88, 80)], fin, "tail")
    pen.blob([(30, 24), (44, 0), (66, 4), (72, 28)], fin, "fin")
    pen.blob([(34, 76), (42, 98), (56, 96), (54, 76)], fin, "fin")
    pen.blob(
        [(0, 48), (16, 18), (52, 10), (86, 44), (86, 56), (52, 90), (16, 82), (0, 56)],
        skin,
        "torso",
    )
    pen.blob(
        [(0, 48), (10, 24), (26, 20), (30, 50), (26, 82), (10, 76), (0, 56)], fin.shaded(20), "head"
    )
    pen.blob([(40, 46), (58, 40), (62, 60), (46, 60)], fin.shaded(-30), "fin")
    _eye(pen.inset(0, 0, 60, 100), 26, 42, 9)


_FISH = ("scaly", "scaly", "scaly", "striped", "banded", "polka-dotted")


@sketch("butterfly", height=15, aspect=125)
def butterfly(pen: Pen) -> None:
    """A butterfly with its wings spread."""
    wing = pen.printed(
        "", "orange", "yellow", "blue", "pink", "red", "purple", period=18, level=150
    )
    for sign in (-1, 1):
        lower = [(50 + sign * x, y) for x, y in ((2, 46), (40, 54), (36, 96), (14, 92))]
        pen.blob(lower, wing.shaded(-30), "wing")
        pen.blob(
            [(50 + sign * x, y) for x, y in ((2, 50), (10, 10), (50, 0), (48, 52))], wing, "wing"
        )
        antenna = [(50 + sign * x, y) for x, y in ((0, 26), (14, 2), (17, 2), (3, 28))]
        pen.polygon(antenna, pen.coat("", "black"), "antenna")
    pen.oval(45, 22, 55, 92, pen.coat("", "black", "brown"), "torso")


@sketch("person", height=58, aspect=44)
def person(pen: Pen) -> None:
    """A person who faces the camera, in trousers or in a dress."""
    skin = pen.coat("skin", "skin", level=150)
    shirt = pen.dressed("fabric", period=pen.dice.whole(12, 24))
    trousers, shoe = (
        pen.dressed("fabric", period=16, percent=15),
        pen.coat("leather", "black", "brown", "red", "white"),
    )
    dress = pen.dice.chance(35)
    for left in (31, 53):
        pen.rect(left, 58, left + 16, 96, skin if dress else trousers.shaded(-6), "leg")
        pen.blob(
            [(left - 5, 93), (left + 17, 93), (left + 17, 100), (left - 7, 100)], shoe, "leg/foot"
        )
    for sign in (-1, 1):
        pen.blob(
            [(50 + sign * x, y) for x, y in ((24, 24), (34, 30), (44, 58), (34, 60), (22, 38))],
            shirt,
            "arm",
        )
        pen.oval(50 + sign * 40 - 7, 54, 50 + sign * 40 + 7, 62, skin, "arm/hand")
    hem = 78 if dress else 64
    pen.blob([(26, 24), (74, 24), (76 + dress * 14, hem), (24 - dress * 14, hem)], shirt, "torso")
    pen.rect(42, 18, 58, 27, skin.shaded(-24), "neck")
    _face(pen.inset(22, 0, 78, 24), skin)


def _face(pen: Pen, skin: Coat) -> None:
    hair = pen.coat("hair", "black", "brown", "yellow", "orange", "grey", "red", cell=30)
    if pen.dice.chance(50):
        pen.blob([(2, 30), (98, 30), (104, 112), (-4, 112)], hair.shaded(-20), "head")
    pen.oval(8, 4, 92, 100, skin, "head")
    for x in (33, 67):
        _eye(pen, x, 54, 7)
    pen.blob(
        [(32, 74), (68, 74), (58, 86), (42, 86)], pen.coat("skin", "red", level=150), "head/mouth"
    )
    pen.blob([(2, 50), (8, 2), (50, -14), (92, 2), (98, 50), (78, 28), (40, 30)], hair, "head")
    if pen.dice.chance(30):
        hat = pen.dressed("fabric", period=40)
        pen.blob([(12, 24), (18, -24), (82, -24), (88, 24)], hat, "head/hat")
        pen.rect(-6, 14, 106, 26, hat.shaded(-30), "head/hat")
