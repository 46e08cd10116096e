"""Kinds of image: twelve scenes by name, and close-ups, which have no scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nd_shapes.backdrops import draw_sky, grass, wall
from nd_shapes.birds_and_fish import bird, butterfly, fish
from nd_shapes.fittings import clock, lamp
from nd_shapes.furniture import chair
from nd_shapes.indoor_scenes import TABLEWARE, bedroom, kitchen, living_room
from nd_shapes.leisure import ball, umbrella
from nd_shapes.mammals import cat, cow, dog, horse, puppy, sheep, zebra
from nd_shapes.nature import cactus, flower, mushroom
from nd_shapes.outdoor_scenes import (
    beach,
    desert,
    downtown,
    field,
    garden,
    mountains,
    ocean,
    reef,
    street,
)
from nd_shapes.pen import Sketch
from nd_shapes.people import person
from nd_shapes.sky import balloon
from nd_shapes.stage import Stage
from nd_shapes.tableware import potted_plant
from nd_shapes.vehicles import car, oncoming_car, sailboat

Scene = Callable[[Stage], None]

SCENES: Mapping[str, Scene] = {
    "bedroom": bedroom,
    "beach": beach,
    "desert": desert,
    "downtown": downtown,
    "field": field,
    "garden": garden,
    "kitchen": kitchen,
    "living_room": living_room,
    "mountain": mountains,
    "ocean": ocean,
    "street": street,
    "underwater": reef,
}
PORTRAITS: tuple[Sketch, ...] = (  # things that close-ups show
    *TABLEWARE,
    *(clock, lamp, chair, potted_plant),
    *(dog, puppy, cat, bird, butterfly, cow, horse, sheep, zebra, fish, person),
    *(flower, mushroom, ball, umbrella, cactus, balloon),
    *(car, oncoming_car, sailboat),
)


def close_up(stage: Stage) -> None:
    """Draw one or two things in front of a backdrop, as large as they fit."""
    backdrops = (_meadow, _curtain, _table, _table)
    draw_backdrop = stage.dice.pick(backdrops)
    draw_backdrop(stage)
    count = stage.dice.pick((1, 1, 2))
    # in percent of the picture: 100 for one thing, 70 for two
    largest_side = 130 - 30 * count
    for index in range(count):
        thing = stage.dice.pick(PORTRAITS)
        usual_side = thing.height * max(100, thing.aspect) // 100
        offset = (index * 48 - 24) * (count - 1)
        x = 50 + offset + stage.dice.whole(-6, 6)
        scale = stage.dice.whole(62, 84) * largest_side // usual_side
        stage.place(thing, x, 94, scale)


def _meadow(stage: Stage) -> None:
    draw_sky(stage, 72)
    horizon = stage.dice.whole(60, 70)
    stage.layer("grass", horizon, 100, grass(stage))


def _curtain(stage: Stage) -> None:
    period = stage.dice.whole(8, 20)
    cloth = stage.pen.dressed("fabric", period=period, percent=60)
    stage.layer("curtain", 0, 100, cloth)


def _table(stage: Stage) -> None:
    """Draw a table in front of a wall."""
    stage.layer("wall", 0, 100, wall(stage))
    table_edge = stage.dice.whole(74, 90)
    wood = stage.pen.coat("wood", cell=7, level=150)
    stage.layer("table", table_edge, 100, wood)
