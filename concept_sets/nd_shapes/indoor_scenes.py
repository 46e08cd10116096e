"""Scenes indoors: each a room and the things that belong there."""

from __future__ import annotations

from nd_shapes.backdrops import draw_room
from nd_shapes.fittings import clock, lamp, painting, pendant, television, window
from nd_shapes.furniture import bed, bookcase, cabinet, chair, sofa, table
from nd_shapes.leisure import ball
from nd_shapes.mammals import cat, dog, puppy
from nd_shapes.people import person
from nd_shapes.stage import Stage
from nd_shapes.tableware import (
    apple,
    banana,
    book,
    bottle,
    bowl,
    cup,
    orange,
    potted_plant,
    teapot,
    vase,
)

TABLEWARE = (bottle, cup, teapot, bowl, apple, orange, banana, vase, book)


def living_room(stage: Stage) -> None:
    """Draw a sofa with things around it."""
    draw_room(stage, wooden_floor_percent=75)
    stage.float((painting, clock, painting), 34, 38, 1, 100)
    stage.place(window, stage.dice.pick((14, 86)), 52, 100, shadow=False)
    stage.scatter((bookcase, lamp, potted_plant), 70, 68, 2, smallest=90)
    if stage.dice.chance(60):
        rug = stage.pen.printed("fabric", period=12)
        stage.pen.of("rug").oval(14, 76, 86, 98, rug)
    stage.place(sofa, stage.dice.whole(30, 70), 86, 100)
    foreground = (cat, puppy, ball, person, table, chair)
    stage.scatter(foreground, 99, 90, stage.dice.whole(0, 2), smallest=90)


def kitchen(stage: Stage) -> None:
    """Draw cabinets and a laid table."""
    draw_room(stage, wooden_floor_percent=30)
    stage.place(pendant, stage.dice.whole(20, 80), 30, 90, shadow=False)
    stage.float((clock,), 30, 36, 1, 100)
    if stage.dice.chance(60):
        stage.place(window, stage.dice.whole(30, 70), 44, 76, shadow=False)
    for x in (22, 78):
        stage.place(cabinet, x, 86, 104)
        _lay(stage, x, 50, 75)
    stage.place(table, 50, 99, 110)
    _lay(stage, 50, 67, 95)
    if stage.dice.chance(50):
        stage.scatter((chair, cat, person, dog), 100, 96, 1, smallest=100)


def bedroom(stage: Stage) -> None:
    """Draw a bed under a painting or a clock."""
    draw_room(stage, wooden_floor_percent=80)
    stage.place(window, stage.dice.whole(10, 90), 52, 100, shadow=False)
    stage.float((painting, clock), 30, 34, 1, 90)
    stage.scatter((bookcase, lamp, chair, television), 72, 69, 2, smallest=90)
    stage.place(bed, stage.dice.whole(36, 64), 90, 110)
    foreground = (cat, book, ball, puppy)
    stage.scatter(foreground, 99, 94, stage.dice.whole(0, 2), smallest=90)


def _lay(stage: Stage, x: int, foot: int, scale: int) -> None:
    """Draw up to three things on a table or a cabinet."""
    for shift in (-14, 0, 14):
        if stage.dice.chance(80):
            thing = stage.dice.pick(TABLEWARE)
            stage.place(thing, x + shift, foot, scale)
