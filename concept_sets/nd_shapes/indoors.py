"""Furniture and household things."""

from __future__ import annotations

from nd_shapes.canvas import Coat
from nd_shapes.nature import blossom
from nd_shapes.pen import Pen, sketch
from nd_shapes.raster import Point

WOODS = ("brown", "brown", "brown", "white", "grey", "black", "yellow")


@sketch("sofa", height=40, aspect=200)
def sofa(pen: Pen) -> None:
    """A sofa with cushions."""
    cover = pen.dressed(pen.dice.pick(("fabric", "fabric", "leather")), period=14, percent=35)
    for x in (8, 86):
        pen.rect(x, 88, x + 6, 100, pen.coat("wood", "brown", "black"), "leg")
    pen.blob([(4, 70), (4, 0), (50, 6), (96, 0), (96, 70)], cover, "back")
    for left in (14, 50):
        pen.blob(
            [(left, 48), (left + 36, 48), (left + 37, 72), (left - 1, 72)], cover.shaded(24), "seat"
        )
    pen.rect(8, 64, 92, 92, cover.shaded(-12), "seat")
    for left in (-2, 86):
        pen.blob(
            [(left, 26), (left + 16, 26), (left + 16, 98), (left, 98)], cover.shaded(10), "arm"
        )
    for x in (20, 62):
        cushion(pen.of("cushion").inset(x, 22, x + 20, 60))


def cushion(pen: Pen) -> None:
    """A cushion, plump."""
    cover = pen.dressed("fabric", period=30, percent=80)
    pen.blob(
        [
            (0, 0),
            (0, 0),
            (50, 8),
            (100, 0),
            (100, 0),
            (94, 50),
            (100, 100),
            (50, 94),
            (0, 100),
            (6, 50),
        ],
        cover,
    )


@sketch("chair", height=46, aspect=58)
def chair(pen: Pen) -> None:
    """A chair from the front."""
    wood, cover = pen.coat("wood", *WOODS, "red", "blue", cell=12), pen.dressed("fabric", period=18)
    for x, bottom, change in ((16, 92, -40), (78, 92, -40), (6, 100, 0), (86, 100, 0)):
        pen.rect(x, 56, x + 8, bottom, wood.shaded(change), "leg")
    pen.rects([(x, 2, x + 8, 56) for x in (12, 80)], wood, "back")
    pen.rects([(12, y, 88, y + 8) for y in (4, 18, 32)], wood.shaded(8), "back")
    pen.polygon([(12, 50), (88, 50), (100, 64), (0, 64)], cover, "seat")


@sketch("table", height=30, aspect=190)
def table(pen: Pen) -> None:
    """A table, under a cloth at times."""
    wood = pen.coat("wood", *WOODS, cell=18)
    for x, bottom, change in ((14, 90, -45), (82, 90, -45), (4, 100, 0), (92, 100, 0)):
        pen.rect(x, 16, x + 4, bottom, wood.shaded(change), "leg")
    pen.polygon([(10, 0), (90, 0), (102, 18), (-2, 18)], wood.shaded(20), "top")
    pen.rect(-2, 18, 102, 25, wood.shaded(-20), "top")
    if pen.dice.chance(45):
        cloth = pen.printed(
            "fabric", period=22, textures=("chequered", "grid", "striped", "polka-dotted")
        )
        pen.polygon(
            [(22, 0), (78, 0), (84, 18), (84, 52), (50, 44), (16, 52), (16, 18)], cloth, "top/cloth"
        )


@sketch("lamp", height=40, aspect=60)
def lamp(pen: Pen) -> None:
    """A table lamp."""
    pen.lighten(-60, -40, 160, 100, 24)
    base = pen.coat("ceramic", light="tube")
    pen.rect(46, 40, 54, 96, pen.coat("metal", "yellow", "grey", light="tube"), "base")
    pen.blob([(36, 56), (64, 56), (80, 84), (60, 98), (40, 98), (20, 84)], base, "base")
    pen.rect(24, 96, 76, 100, base.shaded(-20), "base")
    shade = pen.dressed("fabric", "yellow", "white", "orange", "pink", "red", period=22, percent=35)
    pen.polygon([(26, 0), (74, 0), (100, 50), (0, 50)], shade.shaded(50), "shade")


@sketch("chandelier", height=26, aspect=110)
def pendant(pen: Pen) -> None:
    """A lamp that hangs from the ceiling."""
    pen.rect(49, -200, 51, 20, pen.coat("metal", "black"))
    pen.lighten(-60, 40, 160, 200, 20)
    pen.oval(
        36, 70, 64, 100, pen.coat("glass", "yellow", "white", level=230, light="round"), "bulb"
    )
    pen.blob([(30, 10), (70, 10), (104, 84), (-4, 84)], pen.coat("metal", cell=90), "shade")


@sketch("clock", height=22, aspect=100)
def clock(pen: Pen) -> None:
    """A clock on the wall."""
    pen.oval(
        0, 0, 100, 100, pen.coat(pen.dice.pick(("wood", "metal", "plastic")), light="round"), "rim"
    )
    pen.oval(
        10, 10, 90, 90, pen.coat("paper", "white", "white", "yellow", "black", level=150), "dial"
    )
    ink = pen.coat("metal", "red", "brown", "blue")
    for x, y in _HOURS:
        pen.oval(50 + x * 35 - 3, 50 + y * 35 - 3, 50 + x * 35 + 3, 50 + y * 35 + 3, ink, "dial")
    for length, wide in ((24, 4), (34, 3)):
        x, y = pen.dice.pick(_DIRECTIONS)
        tip = (50 + x * length // 10, 50 + y * length // 10)
        side = (y * wide // 10, -x * wide // 10)
        pen.polygon(
            [(50 + side[0], 50 + side[1]), tip, (50 - side[0], 50 - side[1])], ink, "dial/hand"
        )
    pen.oval(46, 46, 54, 54, ink, "dial/hand")


_HOURS = ((0, -1), (1, 0), (0, 1), (-1, 0))
_DIRECTIONS = ((10, 0), (7, 7), (0, 10), (-7, 7), (-10, 0), (-7, -7), (0, -10), (7, -7))


@sketch("bed", height=44, aspect=190)
def bed(pen: Pen) -> None:
    """A bed, made."""
    wood = pen.coat("wood", *WOODS, cell=16)
    for x in (2, 92):
        pen.rect(x, 84, x + 5, 100, wood.shaded(-30), "leg")
    pen.blob([(-2, 90), (-2, 0), (8, -4), (12, 0), (12, 90)], wood, "headboard")
    pen.rect(8, 72, 98, 90, wood.shaded(-12), "frame")
    pen.rect(10, 50, 96, 74, pen.coat("fabric", "white", level=90), "mattress")
    fold, blanket = pen.coat("fabric", "white", level=170), pen.dressed("fabric", percent=85)
    pen.blob(
        [(30, 44), (30, 44), (96, 46), (99, 50), (98, 86), (98, 86), (30, 86), (30, 86)],
        blanket,
        "blanket",
    )
    pen.rect(30, 45, 37, 86, fold, "blanket")
    pen.blob([(94, 96), (94, 42), (94, 42), (102, 42), (102, 42), (102, 96)], wood, "footboard")
    for x in (9, 15):
        cushion(pen.of("pillow").inset(x, 30, x + 18, 56))


@sketch("painting", height=30, aspect=120)
def painting(pen: Pen) -> None:
    """A framed landscape, or a pattern."""
    pen.rect(
        0, 0, 100, 100, pen.coat("wood", "brown", "black", "yellow", "white", cell=12), "frame"
    )
    if pen.dice.chance(40):
        pen.rect(9, 10, 91, 90, pen.printed("paper", period=26))
        return
    pen.rect(9, 10, 91, 90, pen.coat("paper", "blue", "yellow", "pink", level=170, light="fall"))
    pen.oval(60, 20, 76, 40, pen.coat("paper", "yellow", "red", "white", level=200))
    hills = [(9, 62), (30, 34), (48, 56), (68, 42), (91, 66), (91, 90), (9, 90)]
    pen.polygon(hills, pen.coat("paper", "purple", "blue"))
    pen.rect(9, 70, 91, 90, pen.coat("paper", "green", "orange"))


@sketch("windowpane", height=46, aspect=90)
def window(pen: Pen) -> None:
    """A window seen from inside, between curtains."""
    frame = pen.coat("wood", "white", "brown", level=150)
    pen.rect(10, 0, 90, 100, frame)
    panes = [(x, y, x + 31, y + 41) for x in (16, 53) for y in (6, 53)]
    pen.rects(panes, pen.coat("glass", "blue", level=190, cell=50), "pane")
    drape, cloth = pen.dressed("fabric", period=16, percent=65), pen.of("curtain")
    half = ((-4, -6), (32, -6), (22, 60), (26, 106), (-4, 106))
    cloth.polygons([half, [(100 - x, y) for x, y in half]], drape)
    cloth.rect(-10, -9, 110, -4, pen.coat("metal", "brown", "yellow", "grey"))


@sketch("bookcase", height=70, aspect=76)
def bookcase(pen: Pen) -> None:
    """Shelves full of books."""
    wood, books = pen.coat("wood", *WOODS, cell=9), pen.of("book")
    pen.rect(0, 0, 100, 100, wood)
    for top in (5, 36, 67):
        pen.rect(6, top, 94, top + 26, wood.shaded(-60), "shelf")
        x = 8
        while x < 84:
            wide, high = pen.dice.whole(7, 12), pen.dice.whole(17, 24)
            books.rect(x, top + 26 - high, x + wide - 1, top + 26, pen.coat("paper", light="tube"))
            x += wide + (6 if pen.dice.chance(12) else 0)


@sketch("cabinet", height=36, aspect=150)
def cabinet(pen: Pen) -> None:
    """A kitchen cabinet with drawers and doors."""
    wood, knob = (
        pen.coat("wood", *WOODS, "blue", "green", cell=20),
        pen.coat("metal", "grey", "yellow", level=190),
    )
    pen.rect(0, 6, 100, 100, wood.shaded(-30))
    pen.rect(-3, 0, 103, 8, pen.coat("stone", "grey", "white", "black", cell=6), "top")
    lefts = (3, 35, 67)
    pen.rects([(x, 12, x + 30, 30) for x in lefts], wood, "drawer")
    pen.rects([(x + 10, 19, x + 20, 23) for x in lefts], knob, "drawer/handle")
    pen.rects([(x, 34, x + 30, 96) for x in lefts], wood.shaded(8), "door")
    pen.rects([(x + 24, 54, x + 27, 64) for x in lefts], knob, "door/handle")


@sketch("bottle", height=34, aspect=34)
def bottle(pen: Pen) -> None:
    """A bottle with a label."""
    glass = pen.coat(pen.dice.pick(("glass", "plastic")), light="tube", cell=60)
    pen.rect(38, 6, 62, 40, glass, "neck")
    pen.blob(
        [(38, 22), (62, 22), (100, 44), (100, 101), (100, 101), (0, 101), (0, 101), (0, 44)],
        glass,
        "body",
    )
    pen.rect(34, 0, 66, 8, pen.coat("metal", "red", "yellow", "black", light="tube"), "cap")
    pen.rect(
        3,
        56,
        97,
        84,
        pen.dressed("paper", "white", "yellow", "red", period=30, percent=50),
        "body/label",
    )


@sketch("cup", height=20, aspect=115)
def cup(pen: Pen) -> None:
    """A cup."""
    china = pen.dressed("ceramic", period=26, light="tube")
    pen.blob(
        [(66, 18), (104, 14), (106, 72), (62, 84), (62, 68), (92, 60), (92, 32), (66, 34)],
        china,
        "handle",
    )
    pen.blob([(0, 6), (76, 6), (76, 6), (68, 102), (8, 102), (0, 6)], china, "body")
    pen.oval(2, 0, 74, 16, pen.coat("ceramic", "white", level=80), "rim")
    pen.oval(8, 3, 68, 14, pen.coat("food", "brown", "black", "orange"), "rim")


@sketch("teapot", height=26, aspect=140)
def teapot(pen: Pen) -> None:
    """A teapot."""
    china = pen.dressed("ceramic", period=22, light="round")
    pen.blob(
        [(70, 30), (102, 20), (104, 80), (70, 84), (72, 72), (92, 66), (92, 38), (72, 44)],
        china,
        "handle",
    )
    pen.blob([(26, 86), (8, 40), (-2, 32), (8, 22), (20, 34), (36, 60)], china, "spout")
    pen.oval(20, 22, 80, 100, china, "body")
    pen.blob([(32, 30), (40, 16), (60, 16), (68, 30)], china.shaded(20), "lid")
    pen.oval(45, 6, 55, 20, china.shaded(30), "lid/handle")


@sketch("vase", height=42, aspect=60)
def vase(pen: Pen) -> None:
    """A vase of flowers."""
    flowers = pen.of("flower")
    for left, top in ((4, 12), (58, 10), (30, 0)):
        stem = [(left + 20, top + 16), (left + 23, top + 16), (52, 62), (48, 62)]
        flowers.polygon(stem, pen.coat("foliage", "green"), "stem")
        blossom(flowers.inset(left, top, left + 42, top + 26))
    china = pen.dressed("ceramic", period=24, light="tube", percent=65)
    pen.blob(
        [(30, 52), (70, 52), (60, 64), (88, 80), (70, 101), (30, 101), (12, 80), (40, 64)], china
    )


@sketch("plant", height=40, aspect=70)
def potted_plant(pen: Pen) -> None:
    """A plant in a pot."""
    green = pen.coat("foliage", "green", level=110)
    leaves = (
        ((4, 40), (16, 4)),
        ((28, 6), (46, -4)),
        ((72, 6), (86, 8)),
        ((96, 42), (90, 14)),
        ((50, 2), (62, -6)),
    )
    for index, (bend, tip) in enumerate(leaves):
        low = ((bend[0] + 50) // 2 + 8, (bend[1] + 70) // 2)
        pen.blob([(46, 72), bend, tip, tip, low, (54, 72)], green.shaded(index * 14 - 28), "leaf")
    pot = pen.dressed(
        "ceramic", "orange", "brown", "white", "blue", period=22, light="tube", percent=40
    )
    pen.polygon([(20, 66), (80, 66), (70, 100), (30, 100)], pot, "pot")
    pen.rect(16, 62, 84, 72, pot.shaded(16), "pot")


@sketch("apple", height=14, aspect=100)
def apple(pen: Pen) -> None:
    """An apple."""
    skin = pen.coat("food", "red", "red", "green", "yellow", light="round")
    pen.blob(
        [(50, 18), (82, 4), (104, 40), (76, 104), (50, 96), (24, 104), (-4, 40), (18, 4)], skin
    )
    pen.polygon([(48, 20), (52, 20), (58, 0), (52, 0)], pen.coat("wood", "brown"), "stem")
    pen.blob([(52, 16), (66, -4), (90, 0), (74, 14)], pen.coat("foliage", "green"), "leaf")


@sketch("orange", height=14, aspect=100)
def orange(pen: Pen) -> None:
    """An orange."""
    pen.oval(2, 4, 98, 100, pen.coat("food", "orange", level=150, light="round"))
    pen.polygon(_TUFT, pen.coat("foliage", "green"), "stem")


_TUFT: list[Point] = [(42, 8), (58, 6), (54, 16), (46, 16)]


@sketch("banana", height=14, aspect=180)
def banana(pen: Pen) -> None:
    """Bananas."""
    for shift, change in ((10, -30), (0, 10)):
        skin = pen.coat("food", "yellow", level=140 + change)
        curve = [
            (2, 30),
            (8, 22),
            (30, 62),
            (70, 60),
            (94, 10),
            (98, 14),
            (86, 76),
            (56, 98),
            (22, 88),
        ]
        pen.blob([(x, y - shift) for x, y in curve], skin)
    pen.polygon([(92, 4), (97, 2), (98, 16), (93, 16)], pen.coat("food", "brown"), "stem")


@sketch("bowl", height=22, aspect=170)
def bowl(pen: Pen) -> None:
    """A bowl of fruit."""
    for index, x in enumerate((12, 36, 60)):
        fruit = pen.inset(x, -12 + 8 * (index % 2), x + 28, 52)
        kind = pen.dice.pick((apple, orange))
        kind.draw(fruit.of(kind.thing))
    china = pen.dressed("ceramic", period=24)
    pen.blob(
        [(0, 36), (0, 36), (100, 36), (100, 36), (84, 92), (66, 102), (34, 102), (16, 92)], china
    )


@sketch("television", height=36, aspect=150)
def television(pen: Pen) -> None:
    """A television that is on."""
    pen.polygon([(40, 84), (60, 84), (70, 100), (30, 100)], pen.coat("plastic", "black", "grey"))
    pen.rect(0, 0, 100, 90, pen.coat("plastic", "black", "grey", level=70), "frame")
    picture: Coat = pen.coat("glass", "blue", "green", "purple", "orange", level=150, cell=90)
    pen.rect(4, 6, 96, 82, picture, "screen")


@sketch("book", height=12, aspect=160)
def book(pen: Pen) -> None:
    """A book that lies closed."""
    pen.polygon(
        [(10, 10), (90, 10), (100, 70), (0, 70)], pen.dressed("paper", period=30, percent=40)
    )
    pen.rect(2, 70, 98, 90, pen.coat("paper", "white"))
    pen.rect(0, 90, 100, 100, pen.coat("paper"))
