"""Things on a table."""

from __future__ import annotations

from nd_shapes.nature import blossom
from nd_shapes.pen import Pen, sketch


@sketch("bottle", height=34, aspect=34)
def bottle(pen: Pen) -> None:
    """Draw a bottle with a label."""
    material = pen.dice.pick(("glass", "plastic"))
    glass = pen.coat(material, light="tube", cell=60)
    pen.rect(38, 6, 62, 40, glass, "neck")
    shoulders = [(0, 44), (38, 22), (62, 22), (100, 44)]
    bottom = [(100, 101), (100, 101), (0, 101), (0, 101)]
    pen.blob([*shoulders, *bottom], glass, "body")
    cap = pen.coat("metal", "red", "yellow", "black", light="tube")
    pen.rect(34, 0, 66, 8, cap, "cap")
    label = pen.dressed("paper", "white", "yellow", "red", period=30, percent=50)
    pen.rect(3, 56, 97, 84, label, "body/label")


@sketch("cup", height=20, aspect=115)
def cup(pen: Pen) -> None:
    """Draw a cup with a drink in it."""
    china = pen.dressed("ceramic", period=26, light="tube")
    outer_edge = [(66, 18), (104, 14), (106, 72), (62, 84)]
    inner_edge = [(62, 68), (92, 60), (92, 32), (66, 34)]
    pen.blob([*outer_edge, *inner_edge], china, "handle")
    body = [(0, 6), (76, 6), (76, 6), (68, 102), (8, 102), (0, 6)]
    pen.blob(body, china, "body")
    pen.oval(2, 0, 74, 16, pen.coat("ceramic", "white", level=80), "rim")
    pen.oval(8, 3, 68, 14, pen.coat("food", "brown", "black", "orange"), "rim")


@sketch("teapot", height=26, aspect=140)
def teapot(pen: Pen) -> None:
    """Draw a teapot."""
    china = pen.dressed("ceramic", period=22, light="round")
    outer_edge = [(70, 30), (102, 20), (104, 80), (70, 84)]
    inner_edge = [(72, 72), (92, 66), (92, 38), (72, 44)]
    pen.blob([*outer_edge, *inner_edge], china, "handle")
    spout = [(26, 86), (8, 40), (-2, 32), (8, 22), (20, 34), (36, 60)]
    pen.blob(spout, china, "spout")
    pen.oval(20, 22, 80, 100, china, "body")
    lid = [(32, 30), (40, 16), (60, 16), (68, 30)]
    pen.blob(lid, china.shaded(20), "lid")
    pen.oval(45, 6, 55, 20, china.shaded(30), "lid/handle")


@sketch("vase", height=42, aspect=60)
def vase(pen: Pen) -> None:
    """Draw a vase of flowers."""
    flower = pen.of("flower")
    for x, y in ((4, 12), (58, 10), (30, 0)):
        stem = [(x + 20, y + 16), (x + 23, y + 16), (52, 62), (48, 62)]
        green = pen.coat("foliage", "green")
        flower.polygon(stem, green, "stem")
        blossom(flower.inset(x, y, x + 42, y + 26))
    china = pen.dressed("ceramic", period=24, light="tube", percent=65)
    neck = [(40, 64), (30, 52), (70, 52), (60, 64)]
    belly = [(88, 80), (70, 101), (30, 101), (12, 80)]
    pen.blob([*neck, *belly], china)


@sketch("plant", height=40, aspect=70)
def potted_plant(pen: Pen) -> None:
    """Draw a plant in a pot."""
    green = pen.coat("foliage", "green", level=110)
    leaves = (  # bend, tip
        ((4, 40), (16, 4)),
        ((28, 6), (46, -4)),
        ((72, 6), (86, 8)),
        ((96, 42), (90, 14)),
        ((50, 2), (62, -6)),
    )
    for index, (bend, tip) in enumerate(leaves):
        lower_bend = ((bend[0] + 50) // 2 + 8, (bend[1] + 70) // 2)
        leaf = [(46, 72), bend, tip, tip, lower_bend, (54, 72)]
        pen.blob(leaf, green.shaded(index * 14 - 28), "leaf")
    colors = ("orange", "brown", "white", "blue")
    china = pen.dressed("ceramic", *colors, period=22, light="tube", percent=40)
    pot = [(20, 66), (80, 66), (70, 100), (30, 100)]
    pen.polygon(pot, china, "pot")
    pen.rect(16, 62, 84, 72, china.shaded(16), "pot")


@sketch("apple", height=14, aspect=100)
def apple(pen: Pen) -> None:
    """Draw an apple."""
    skin = pen.coat("food", "red", "red", "green", "yellow", light="round")
    right_half = [(50, 18), (82, 4), (104, 40), (76, 104)]
    left_half = [(50, 96), (24, 104), (-4, 40), (18, 4)]
    pen.blob([*right_half, *left_half], skin)
    stem = [(48, 20), (52, 20), (58, 0), (52, 0)]
    pen.polygon(stem, pen.coat("wood", "brown"), "stem")
    leaf = [(52, 16), (66, -4), (90, 0), (74, 14)]
    pen.blob(leaf, pen.coat("foliage", "green"), "leaf")


@sketch("orange", height=14, aspect=100)
def orange(pen: Pen) -> None:
    """Draw an orange."""
    pen.oval(2, 4, 98, 100, pen.coat("food", "orange", level=150, light="round"))
    stem = [(42, 8), (58, 6), (54, 16), (46, 16)]
    pen.polygon(stem, pen.coat("foliage", "green"), "stem")


@sketch("banana", height=14, aspect=180)
def banana(pen: Pen) -> None:
    """Draw two bananas."""
    outer_curve = [(98, 14), (86, 76), (56, 98), (22, 88), (2, 30)]
    inner_curve = [(8, 22), (30, 62), (70, 60), (94, 10)]
    curve = [*outer_curve, *inner_curve]
    for shift, change in ((10, -30), (0, 10)):
        skin = pen.coat("food", "yellow", level=140 + change)
        pen.blob([(x, y - shift) for x, y in curve], skin)
    stem = [(92, 4), (97, 2), (98, 16), (93, 16)]
    pen.polygon(stem, pen.coat("food", "brown"), "stem")


@sketch("bowl", height=22, aspect=170)
def bowl(pen: Pen) -> None:
    """Draw a bowl of fruit."""
    for index, x in enumerate((12, 36, 60)):
        top = -12 + 8 * (index % 2)
        fruit = pen.dice.pick((apple, orange))
        fruit.draw(pen.of(fruit.thing).inset(x, top, x + 28, 52))
    china = pen.dressed("ceramic", period=24)
    rim = [(0, 36), (0, 36), (100, 36), (100, 36)]
    belly = [(84, 92), (66, 102), (34, 102), (16, 92)]
    pen.blob([*rim, *belly], china)


@sketch("book", height=12, aspect=160)
def book(pen: Pen) -> None:
    """Draw a closed book, lying."""
    cover = [(10, 10), (90, 10), (100, 70), (0, 70)]
    pen.polygon(cover, pen.dressed("paper", period=30, percent=40))
    pen.rect(2, 70, 98, 90, pen.coat("paper", "white"))
    pen.rect(0, 90, 100, 100, pen.coat("paper"))
