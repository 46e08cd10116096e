"""Furniture."""

from __future__ import annotations

from nd_shapes.pen import Pen, sketch

_WOODS = ("brown", "brown", "brown", "white", "grey", "black", "yellow")


@sketch("sofa", height=40, aspect=200)
def sofa(pen: Pen) -> None:
    """Draw a sofa with cushions."""
    material = pen.dice.pick(("fabric", "fabric", "leather"))
    cover = pen.dressed(material, period=14, percent=35)
    for x in (8, 86):
        pen.rect(x, 88, x + 6, 100, pen.coat("wood", "brown", "black"), "leg")
    back = [(4, 70), (4, 0), (50, 6), (96, 0), (96, 70)]
    pen.blob(back, cover, "back")
    for x in (14, 50):
        seat = [(x, 48), (x + 36, 48), (x + 37, 72), (x - 1, 72)]
        pen.blob(seat, cover.shaded(24), "seat")
    pen.rect(8, 64, 92, 92, cover.shaded(-12), "seat")
    for x in (-2, 86):
        arm = [(x, 26), (x + 16, 26), (x + 16, 98), (x, 98)]
        pen.blob(arm, cover.shaded(10), "arm")
    for x in (20, 62):
        cushion(pen.of("cushion").inset(x, 22, x + 20, 60))


def cushion(pen: Pen) -> None:
    """Draw a plump cushion."""
    cover = pen.dressed("fabric", period=30, percent=80)
    upper_edge = [(0, 0), (0, 0), (50, 8), (100, 0), (100, 0)]
    lower_edge = [(94, 50), (100, 100), (50, 94), (0, 100), (6, 50)]
    pen.blob([*upper_edge, *lower_edge], cover)


@sketch("chair", height=46, aspect=58)
def chair(pen: Pen) -> None:
    """Draw a chair from the front."""
    wood = pen.coat("wood", *_WOODS, "red", "blue", cell=12)
    cover = pen.dressed("fabric", period=18)
    for x, bottom, change in (
        (16, 92, -40),
        (78, 92, -40),
        (6, 100, 0),
        (86, 100, 0),
    ):
        pen.rect(x, 56, x + 8, bottom, wood.shaded(change), "leg")
    posts = [(x, 2, x + 8, 56) for x in (12, 80)]
    pen.rects(posts, wood, "back")
    rails = [(12, y, 88, y + 8) for y in (4, 18, 32)]
    pen.rects(rails, wood.shaded(8), "back")
    seat = [(12, 50), (88, 50), (100, 64), (0, 64)]
    pen.polygon(seat, cover, "seat")


@sketch("table", height=30, aspect=190)
def table(pen: Pen) -> None:
    """Draw a table, sometimes under a cloth."""
    wood = pen.coat("wood", *_WOODS, cell=18)
    for x, bottom, change in (
        (14, 90, -45),
        (82, 90, -45),
        (4, 100, 0),
        (92, 100, 0),
    ):
        pen.rect(x, 16, x + 4, bottom, wood.shaded(change), "leg")
    top = [(10, 0), (90, 0), (102, 18), (-2, 18)]
    pen.polygon(top, wood.shaded(20), "top")
    pen.rect(-2, 18, 102, 25, wood.shaded(-20), "top")
    if pen.dice.chance(45):
        textures = ("chequered", "grid", "striped", "polka-dotted")
        fabric = pen.printed("fabric", period=22, textures=textures)
        cloth = [(22, 0), (78, 0), (84, 18), (84, 52), (50, 44), (16, 52), (16, 18)]
        pen.polygon(cloth, fabric, "top/cloth")


@sketch("bed", height=44, aspect=190)
def bed(pen: Pen) -> None:
    """Draw a bed with blanket and pillows."""
    wood = pen.coat("wood", *_WOODS, cell=16)
    for x in (2, 92):
        pen.rect(x, 84, x + 5, 100, wood.shaded(-30), "leg")
    headboard = [(-2, 90), (-2, 0), (8, -4), (12, 0), (12, 90)]
    pen.blob(headboard, wood, "headboard")
    pen.rect(8, 72, 98, 90, wood.shaded(-12), "frame")
    pen.rect(10, 50, 96, 74, pen.coat("fabric", "white", level=90), "mattress")
    _blanket(pen)
    footboard = [(94, 96), (94, 42), (94, 42), (102, 42), (102, 42), (102, 96)]
    pen.blob(footboard, wood, "footboard")
    for x in (9, 15):
        cushion(pen.of("pillow").inset(x, 30, x + 18, 56))


def _blanket(pen: Pen) -> None:
    """Draw a blanket with its upper end folded back."""
    fold = pen.coat("fabric", "white", level=170)
    cover = pen.dressed("fabric", percent=85)
    upper_edge = [(30, 44), (30, 44), (96, 46), (99, 50)]
    lower_edge = [(98, 86), (98, 86), (30, 86), (30, 86)]
    pen.blob([*upper_edge, *lower_edge], cover, "blanket")
    pen.rect(30, 45, 37, 86, fold, "blanket")


@sketch("bookcase", height=70, aspect=76)
def bookcase(pen: Pen) -> None:
    """Draw shelves full of books."""
    wood = pen.coat("wood", *_WOODS, cell=9)
    pen.rect(0, 0, 100, 100, wood)
    for top in (5, 36, 67):
        bottom = top + 26
        pen.rect(6, top, 94, bottom, wood.shaded(-60), "shelf")
        _row_of_books(pen.of("book"), bottom)


def _row_of_books(pen: Pen, bottom: int) -> None:
    x = 8
    while x < 84:
        width = pen.dice.whole(7, 12)
        height = pen.dice.whole(17, 24)
        spine = pen.coat("paper", light="tube")
        pen.rect(x, bottom - height, x + width - 1, bottom, spine)
        gap = 6 if pen.dice.chance(12) else 0
        x += width + gap


@sketch("cabinet", height=36, aspect=150)
def cabinet(pen: Pen) -> None:
    """Draw a kitchen cabinet with drawers and doors."""
    wood = pen.coat("wood", *_WOODS, "blue", "green", cell=20)
    knob = pen.coat("metal", "grey", "yellow", level=190)
    pen.rect(0, 6, 100, 100, wood.shaded(-30))
    pen.rect(
        -3, 0, 103, 8, pen.coat("stone", "grey", "white", "black", cell=6), "top"
    )
    columns = (3, 35, 67)
    drawers = [(x, 12, x + 30, 30) for x in columns]
    pen.rects(drawers, wood, "drawer")
    drawer_handles = [(x + 10, 19, x + 20, 23) for x in columns]
    pen.rects(drawer_handles, knob, "drawer/handle")
    doors = [(x, 34, x + 30, 96) for x in columns]
    pen.rects(doors, wood.shaded(8), "door")
    door_handles = [(x + 24, 54, x + 27, 64) for x in columns]
    pen.rects(door_handles, knob, "door/handle")
