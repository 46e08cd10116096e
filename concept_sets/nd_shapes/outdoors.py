"""Plants, the sky's things and what stands or moves in the open."""

from __future__ import annotations

from nd_shapes.noise import Dice
from nd_shapes.pen import Pen, sketch
from nd_shapes.raster import Point

_TURN = (  # sixteen directions, in thousandths
    (1000, 0), (924, 383), (707, 707), (383, 924), (0, 1000), (-383, 924), (-707, 707), (-924, 383),
    (-1000, 0), (-924, -383), (-707, -707), (-383, -924), (0, -1000), (383, -924), (707, -707), (924, -383),
)  # fmt: skip


def star(inner: int, outer: int, start: int = 0) -> list[Point]:
    """A closed line round (50, 50) that goes in and out sixteen times."""
    radii = [outer if index % 2 == start else inner for index in range(16)]
    return [
        (50 + x * radius // 1000, 50 + y * radius // 1000)
        for (x, y), radius in zip(_TURN, radii, strict=True)
    ]


def wobbly(dice: Dice, least: int) -> list[Point]:
    """A closed line round (50, 50), of eight uneven radii."""
    radii = [dice.whole(least, 60) for _ in range(8)]
    return [
        (50 + x * r // 1000, 50 + y * r // 1000)
        for (x, y), r in zip(_TURN[::2], radii, strict=True)
    ]


@sketch("sun", height=16, aspect=100)
def sun(pen: Pen) -> None:
    """The sun with a halo."""
    pen.lighten(-60, -60, 160, 160, 26)
    pen.lighten(-20, -20, 120, 120, 30)
    pen.oval(0, 0, 100, 100, pen.coat("", "yellow", "yellow", "orange", level=210))


@sketch("moon", height=14, aspect=100)
def moon(pen: Pen) -> None:
    """The full moon."""
    pen.lighten(-50, -50, 150, 150, 60)
    pen.oval(0, 0, 100, 100, pen.coat("stone", "white", "yellow", level=190, cell=60))


@sketch("cloud", height=14, aspect=240)
def cloud(pen: Pen) -> None:
    """A heap of cloud."""
    vapour = pen.coat("", "white", "white", "white", "grey", level=170, light="round", cell=60)
    for _ in range(pen.dice.whole(4, 6)):
        x, y = pen.dice.whole(0, 62), pen.dice.whole(0, 40)
        pen.oval(x, y, x + 38, y + 66, vapour)
    pen.blob([(0, 62), (100, 62), (104, 100), (-4, 100)], vapour)


@sketch("tree", height=80, aspect=80)
def tree(pen: Pen) -> None:
    """A broad-leaved tree, in fruit at times."""
    leaves = pen.coat("foliage", "green", "green", "green", "orange", "yellow", "pink", cell=9)
    pen.polygon(
        [(44, 50), (56, 50), (60, 100), (40, 100)],
        pen.coat("wood", "brown", "grey", light="tube"),
        "trunk",
    )
    pen.polygon([(48, 66), (66, 46), (69, 49), (53, 72)], pen.coat("wood", "brown"), "branch")
    spots = [(8, 22), (44, 24), (16, 0), (40, 4), (26, 20)]
    for index, (x, y) in enumerate(spots):
        crown = pen.inset(x, y, x + 48, y + 46)
        crown.blob(wobbly(pen.dice, 44), leaves.shaded(index * 10 - 20), "crown")
    if pen.dice.chance(35):
        fruit = pen.coat("food", "red", "orange", "yellow", level=150, light="round")
        for _ in range(7):
            x, y = pen.dice.whole(16, 78), pen.dice.whole(8, 58)
            pen.oval(x, y, x + 7, y + 6, fruit, "crown/fruit")


@sketch("tree", height=76, aspect=56)
def fir(pen: Pen) -> None:
    """A fir."""
    leaves = pen.coat("foliage", "green", level=90, cell=7)
    pen.rect(44, 80, 56, 100, pen.coat("wood", "brown", light="tube"), "trunk")
    for index, (top, bottom) in enumerate(((46, 90), (24, 66), (0, 42))):
        spread = 50 - 11 * index
        corners = [
            (50, top),
            (50 + spread, bottom),
            (50 + spread // 3, bottom - 5),
            (50, bottom + 2),
        ]
        corners += [(50 - spread // 3, bottom - 5), (50 - spread, bottom)]
        pen.polygon(corners, leaves.shaded(index * 16), "crown")


@sketch("palm", height=80, aspect=80)
def palm(pen: Pen) -> None:
    """A palm that leans a little."""
    leaf = pen.coat("foliage", "green", cell=8)
    bark = pen.coat("wood", "brown", cell=5, light="tube")
    pen.blob([(48, 24), (54, 24), (60, 60), (66, 104), (50, 104), (52, 60)], bark, "trunk")
    fronds = (
        ((4, 30), (20, 6)),
        ((14, 56), (14, 24)),
        ((96, 32), (80, 6)),
        ((88, 56), (86, 24)),
        ((66, 2), (44, 0)),
    )
    for index, (tip, bend) in enumerate(fronds):
        low = ((tip[0] + 2 * bend[0]) // 3, (tip[1] + 2 * bend[1]) // 3 + 12)
        pen.blob([(50, 20), bend, tip, tip, low, (51, 29)], leaf.shaded(index * 9 - 20), "crown")
    for x in (45, 52):
        pen.oval(x, 24, x + 8, 33, pen.coat("food", "brown", light="round"), "crown/fruit")


@sketch("cactus", height=50, aspect=70)
def cactus(pen: Pen) -> None:
    """A tall cactus with arms, in flower at times."""
    flesh = pen.printed("foliage", "green", textures=("striped",), period=12, light="tube")
    flesh = flesh if pen.dice.chance(30) else pen.coat("foliage", "green", level=100, light="tube")
    for sign, y in ((-1, 34), (1, 22)):
        arm = [(0, y + 22), (0, y + 38), (46, y + 38), (46, y - 6), (32, y - 6), (30, y + 22)]
        pen.blob([(50 + sign * x, height) for x, height in arm], flesh, "arm")
    pen.blob([(36, 0), (64, 0), (66, 104), (34, 104)], flesh, "trunk")
    if pen.dice.chance(60):
        blossom = pen.coat("", "pink", "red", "yellow", level=170)
        for x, y in ((50, 2), (11, 28), (89, 16)):
            pen.inset(x - 9, y - 6, x + 9, y + 8).polygon(star(20, 50), blossom, "blossom")


@sketch("flower", height=26, aspect=62)
def flower(pen: Pen) -> None:
    """A flower on its stem."""
    green = pen.coat("foliage", "green")
    pen.polygon([(47, 40), (53, 40), (54, 100), (48, 100)], green.shaded(-10), "stem")
    pen.blob([(50, 88), (60, 62), (98, 58), (80, 82)], green, "leaf")
    pen.blob([(50, 80), (36, 58), (4, 58), (22, 78)], green.shaded(-24), "leaf")
    blossom(pen.inset(4, 0, 96, 57))


def blossom(pen: Pen) -> None:
    """The blossom alone."""
    petal = pen.coat("", "red", "pink", "yellow", "white", "purple", "blue", "orange", level=150)
    pen.blob(star(30, 62, 1), petal.shaded(-30), "blossom/petal")
    pen.blob(star(24, 62), petal, "blossom/petal")
    middle = pen.coat("", "yellow", "brown", "orange", level=150, light="round")
    pen.oval(34, 34, 66, 66, middle, "blossom/pistil")


@sketch("mushroom", height=20, aspect=100)
def mushroom(pen: Pen) -> None:
    """A toadstool."""
    cap = pen.printed(
        "food", "red", "brown", "orange", textures=("polka-dotted",), period=24, light="round"
    )
    pen.blob(
        [(38, 48), (62, 48), (68, 102), (32, 102)], pen.coat("food", "white", light="tube"), "stem"
    )
    pen.blob([(0, 58), (8, 10), (50, -10), (92, 10), (100, 58), (50, 66)], cap, "cap")


@sketch("plant", height=34, aspect=60)
def seaweed(pen: Pen) -> None:
    """Weed that sways under water."""
    green = pen.coat("foliage", "green", "red", "purple", level=110)
    for index, x in enumerate((6, 26, 44, 62, 80)):
        top, sway = pen.dice.whole(0, 40), pen.dice.whole(-12, 12)
        left = [(x, 100), (x + sway, 70), (x - sway, 40), (x + 4 + sway, top)]
        right = [(x + 12 - sway, 40), (x + 14 + sway, 70), (x + 14, 100)]
        pen.blob([*left, *right], green.shaded(index * 12 - 24), "leaf")


@sketch("rock", height=22, aspect=150)
def rock(pen: Pen) -> None:
    """A boulder."""
    stone = pen.coat("stone", "grey", "grey", "brown", light="round", cell=30)
    pen.blob([(0, 100), (6, 40), (34, 6), (70, 0), (96, 46), (100, 100)], stone)


@sketch("balloon", height=50, aspect=72)
def balloon(pen: Pen) -> None:
    """A hot-air balloon."""
    envelope = pen.printed("fabric", textures=_ENVELOPES, period=28, light="round")
    rope = pen.coat("fabric", "brown", "black")
    for x, foot in ((30, 42), (68, 56)):
        pen.polygon([(x, 66), (x + 2, 66), (foot + 2, 88), (foot, 88)], rope)
    basket = pen.printed("wood", "brown", "yellow", textures=("woven",), period=10)
    pen.blob([(10, 0), (90, 0), (108, 34), (64, 82), (36, 82), (-8, 34)], envelope, "envelope")
    pen.rect(40, 86, 60, 100, basket, "basket")


_ENVELOPES = ("striped", "striped", "zigzagged", "chequered", "banded", "polka-dotted")


@sketch("kite", height=26, aspect=80)
def kite(pen: Pen) -> None:
    """A kite and its tail."""
    pen.polygon(
        [(48, 60), (52, 60), (60, 78), (46, 100), (43, 98), (55, 79)], pen.coat("fabric"), "tail"
    )
    pen.polygon([(50, 0), (92, 26), (50, 66), (8, 26)], pen.printed("fabric", period=24), "sail")
    pen.polygon([(8, 25), (92, 25), (92, 28), (8, 28)], pen.coat("wood", "brown"))


@sketch("umbrella", height=52, aspect=110)
def umbrella(pen: Pen) -> None:
    """An umbrella, or a parasol."""
    pen.rect(48, 10, 51, 100, pen.coat("metal", "grey", "brown", light="tube"), "pole")
    canopy = pen.dressed("fabric", period=26, light="round", percent=75)
    corners = [(0, 48), (14, 12), (50, -4), (86, 12), (100, 48)]
    pen.blob([*corners, (84, 40), (67, 50), (50, 40), (33, 50), (16, 40)], canopy, "canopy")


@sketch("ball", height=18, aspect=100)
def ball(pen: Pen) -> None:
    """A ball."""
    skin = pen.dressed(
        pen.dice.pick(("plastic", "leather")),
        period=pen.dice.whole(30, 50),
        light="round",
        percent=70,
    )
    pen.oval(0, 0, 100, 100, skin)


@sketch("towel", height=13, aspect=340)
def towel(pen: Pen) -> None:
    """A towel on the ground."""
    pen.polygon([(14, 0), (100, 0), (86, 100), (0, 100)], pen.printed("fabric", period=40))


@sketch("bench", height=26, aspect=190)
def bench(pen: Pen) -> None:
    """A park bench."""
    wood, iron = pen.coat("wood", "brown", "green", cell=14), pen.coat("metal", "black", "grey")
    pen.rects([(x, 40, x + 5, 100) for x in (10, 84)], iron, "leg")
    pen.rects([(2, y, 98, y + 12) for y in (0, 16, 32)], wood, "back")
    pen.polygon([(4, 50), (96, 50), (102, 66), (-2, 66)], wood.shaded(24), "seat")
