"""Plants and rocks."""

from __future__ import annotations

from collections.abc import Sequence

from nd_shapes.noise import Dice
from nd_shapes.pen import LEFT_AND_RIGHT, Pen, from_middle, sketch
from nd_shapes.raster import Point

_DIRECTIONS = (  # sixteen, in thousandths
    (1000, 0), (924, 383), (707, 707), (383, 924),
    (0, 1000), (-383, 924), (-707, 707), (-924, 383),
    (-1000, 0), (-924, -383), (-707, -707), (-383, -924),
    (0, -1000), (383, -924), (707, -707), (924, -383),
)  # fmt: skip


def star(inner: int, outer: int, first: int = 0) -> list[Point]:
    """Return a closed line round (50, 50) that alternates between two radii.

    Its sixteen points begin with the outer radius, or with the inner one if ``first`` is 1.
    """
    radii = [outer if index % 2 == first else inner for index in range(16)]
    return _round_the_middle(_DIRECTIONS, radii)


def wobbly(dice: Dice, smallest: int) -> list[Point]:
    """Return a closed line round (50, 50), of eight uneven radii."""
    radii = [dice.whole(smallest, 60) for _ in range(8)]
    return _round_the_middle(_DIRECTIONS[::2], radii)


def _round_the_middle(
    directions: Sequence[Point], radii: Sequence[int]
) -> list[Point]:
    points = []
    for (x, y), radius in zip(directions, radii, strict=True):
        points.append((50 + x * radius // 1000, 50 + y * radius // 1000))
    return points


@sketch("tree", height=80, aspect=80)
def tree(pen: Pen) -> None:
    """Draw a broad-leaved tree, sometimes with fruit."""
    colors = ("green", "green", "green", "orange", "yellow", "pink")
    leaves = pen.coat("foliage", *colors, cell=9)
    trunk = [(44, 50), (56, 50), (60, 100), (40, 100)]
    pen.polygon(trunk, pen.coat("wood", "brown", "grey", light="tube"), "trunk")
    branch = [(48, 66), (66, 46), (69, 49), (53, 72)]
    pen.polygon(branch, pen.coat("wood", "brown"), "branch")
    clumps = [(8, 22), (44, 24), (16, 0), (40, 4), (26, 20)]
    for index, (x, y) in enumerate(clumps):
        outline = wobbly(pen.dice, 44)
        pen.inset(x, y, x + 48, y + 46).blob(
            outline, leaves.shaded(index * 10 - 20), "crown"
        )
    if pen.dice.chance(35):
        _fruit(pen)


def _fruit(pen: Pen) -> None:
    skin = pen.coat("food", "red", "orange", "yellow", level=150, light="round")
    for _ in range(7):
        x = pen.dice.whole(16, 78)
        y = pen.dice.whole(8, 58)
        pen.oval(x, y, x + 7, y + 6, skin, "crown/fruit")


@sketch("tree", height=76, aspect=56)
def fir(pen: Pen) -> None:
    """Draw a fir."""
    needles = pen.coat("foliage", "green", level=90, cell=7)
    pen.rect(44, 80, 56, 100, pen.coat("wood", "brown", light="tube"), "trunk")
    tiers = ((46, 90), (24, 66), (0, 42))
    for index, (top, bottom) in enumerate(tiers):
        spread = 50 - 11 * index
        hollow = spread // 3
        outline = [
            (50, top),
            (50 + spread, bottom),
            (50 + hollow, bottom - 5),
            (50, bottom + 2),
            (50 - hollow, bottom - 5),
            (50 - spread, bottom),
        ]
        pen.polygon(outline, needles.shaded(index * 16), "crown")


@sketch("palm", height=80, aspect=80)
def palm(pen: Pen) -> None:
    """Draw a palm that leans a little, with coconuts."""
    leaf = pen.coat("foliage", "green", cell=8)
    bark = pen.coat("wood", "brown", cell=5, light="tube")
    trunk = [(48, 24), (54, 24), (60, 60), (66, 104), (50, 104), (52, 60)]
    pen.blob(trunk, bark, "trunk")
    fronds = (  # tip, bend of the upper edge
        ((4, 30), (20, 6)),
        ((14, 56), (14, 24)),
        ((96, 32), (80, 6)),
        ((88, 56), (86, 24)),
        ((66, 2), (44, 0)),
    )
    for index, (tip, bend) in enumerate(fronds):
        low_x = (tip[0] + 2 * bend[0]) // 3
        low_y = (tip[1] + 2 * bend[1]) // 3 + 12
        frond = [(50, 20), bend, tip, tip, (low_x, low_y), (51, 29)]
        pen.blob(frond, leaf.shaded(index * 9 - 20), "crown")
    for x in (45, 52):
        shell = pen.coat("food", "brown", light="round")
        pen.oval(x, 24, x + 8, 33, shell, "crown/fruit")


@sketch("cactus", height=50, aspect=70)
def cactus(pen: Pen) -> None:
    """Draw a tall cactus with arms, often in flower."""
    flesh = pen.printed(
        "foliage", "green", textures=("striped",), period=12, light="tube"
    )
    if not pen.dice.chance(30):
        flesh = pen.coat("foliage", "green", level=100, light="tube")
    for side, y in zip(LEFT_AND_RIGHT, (34, 22), strict=True):
        elbow = [(0, y + 22), (0, y + 38), (46, y + 38)]
        upper_arm = [(46, y - 6), (32, y - 6), (30, y + 22)]
        pen.blob(from_middle(side, [*elbow, *upper_arm]), flesh, "arm")
    trunk = [(36, 0), (64, 0), (66, 104), (34, 104)]
    pen.blob(trunk, flesh, "trunk")
    if pen.dice.chance(60):
        petals = pen.coat("", "pink", "red", "yellow", level=170)
        for x, y in ((50, 2), (11, 28), (89, 16)):
            pen.inset(x - 9, y - 6, x + 9, y + 8).polygon(
                star(20, 50), petals, "blossom"
            )


@sketch("flower", height=26, aspect=62)
def flower(pen: Pen) -> None:
    """Draw a flower on its stem."""
    green = pen.coat("foliage", "green")
    stem = [(47, 40), (53, 40), (54, 100), (48, 100)]
    pen.polygon(stem, green.shaded(-10), "stem")
    light_leaf = [(50, 88), (60, 62), (98, 58), (80, 82)]
    pen.blob(light_leaf, green, "leaf")
    dark_leaf = [(50, 80), (36, 58), (4, 58), (22, 78)]
    pen.blob(dark_leaf, green.shaded(-24), "leaf")
    blossom(pen.inset(4, 0, 96, 57))


def blossom(pen: Pen) -> None:
    """Draw a blossom without a stem."""
    colors = ("red", "pink", "yellow", "white", "purple", "blue", "orange")
    petals = pen.coat("", *colors, level=150)
    pen.blob(star(30, 62, first=1), petals.shaded(-30), "blossom/petal")
    pen.blob(star(24, 62), petals, "blossom/petal")
    pistil = pen.coat("", "yellow", "brown", "orange", level=150, light="round")
    pen.disc(50, 50, 16, pistil, "blossom/pistil")


@sketch("mushroom", height=20, aspect=100)
def mushroom(pen: Pen) -> None:
    """Draw a toadstool."""
    colors = ("red", "brown", "orange")
    dots = pen.printed(
        "food", *colors, textures=("polka-dotted",), period=24, light="round"
    )
    stem = [(38, 48), (62, 48), (68, 102), (32, 102)]
    pen.blob(stem, pen.coat("food", "white", light="tube"), "stem")
    cap = [(0, 58), (8, 10), (50, -10), (92, 10), (100, 58), (50, 66)]
    pen.blob(cap, dots, "cap")


@sketch("plant", height=34, aspect=60)
def seaweed(pen: Pen) -> None:
    """Draw weed that sways under water."""
    green = pen.coat("foliage", "green", "red", "purple", level=110)
    for index, x in enumerate((6, 26, 44, 62, 80)):
        tip = pen.dice.whole(0, 40)
        sway = pen.dice.whole(-12, 12)
        rising = [(x, 100), (x + sway, 70), (x - sway, 40), (x + 4 + sway, tip)]
        falling = [(x + 12 - sway, 40), (x + 14 + sway, 70), (x + 14, 100)]
        pen.blob([*rising, *falling], green.shaded(index * 12 - 24), "leaf")


@sketch("rock", height=22, aspect=150)
def rock(pen: Pen) -> None:
    """Draw a boulder."""
    stone = pen.coat("stone", "grey", "grey", "brown", light="round", cell=30)
    outline = [(0, 100), (6, 40), (34, 6), (70, 0), (96, 46), (100, 100)]
    pen.blob(outline, stone)
