"""Backdrops that several scenes share: sky, grass, roads, rooms and walls."""

from __future__ import annotations

from nd_shapes.birds_and_fish import gull
from nd_shapes.canvas import Coat
from nd_shapes.sky import cloud, sun
from nd_shapes.stage import Stage

_SKY_COLORS = (*("sky",) * 8, "grey", "orange", "pink", "purple")


def draw_sky(stage: Stage, bottom: int) -> None:
    """Draw the sky by day, with sun, clouds and gulls by chance."""
    air = stage.pen.coat("", *_SKY_COLORS, level=170, light="fall", cell=60)
    stage.layer("sky", 0, bottom, air)
    if stage.dice.chance(40):
        stage.float((sun,), 18, 30, 1, 90)
    stage.float((cloud,), 12, bottom - 12, stage.dice.whole(0, 4), 90)
    if stage.dice.chance(30):
        stage.float((gull,), 14, bottom - 10, stage.dice.whole(1, 3), 80)


def grass(stage: Stage) -> Coat:
    """Return the coat of a meadow."""
    return stage.pen.coat("foliage", "grass", level=120, light="fall", cell=3)


def draw_road(stage: Stage, color: str) -> None:
    """Draw a sidewalk and a road with lane markings, sometimes with a crosswalk."""
    pavement = stage.pen.coat("concrete", "grey", "brown", level=190, cell=4)
    stage.layer("sidewalk", 60, 72, pavement)
    asphalt = stage.pen.coat("concrete", color, level=80, cell=4)
    stage.layer("road", 71, 100, asphalt)
    marking = stage.pen.coat("", "white", "yellow")
    if stage.dice.chance(35):
        _draw_crosswalk(stage)
    dashes = []
    for x in range(2, 100, 20):
        dashes.append([(x, 84), (x + 10, 84), (x + 9, 86), (x - 1, 86)])
    stage.pen.of("road").polygons(dashes, marking, "lane")


def _draw_crosswalk(stage: Stage) -> None:
    stripes = stage.pen.printed(
        "concrete", "white", "grey", textures=("striped",), period=9
    )
    outline = [(30, 72), (60, 72), (70, 100), (24, 100)]
    stage.pen.of("crosswalk").polygon(outline, stripes)


def draw_room(stage: Stage, wooden_floor_percent: int) -> None:
    """Draw a wall, a skirting board and a floor of wood or of tiles."""
    stage.layer("wall", 0, 66, wall(stage))
    if stage.dice.chance(wooden_floor_percent):
        floor = stage.pen.coat("wood", "brown", "brown", "grey", "yellow", cell=6)
    else:
        textures = ("chequered", "grid", "honeycombed")
        floor = stage.pen.printed("ceramic", textures=textures, period=14)
    stage.layer("floor", 64, 100, floor)
    skirting_board = stage.pen.coat("wood", "white", "brown")
    stage.layer("floor", 63, 65, skirting_board)


def wall(stage: Stage) -> Coat:
    """Return the coat of a wall inside a house."""
    material = stage.dice.pick(("paper", "paper", "brick", "concrete", "wood"))
    if material == "paper":
        return stage.pen.dressed(
            "paper", period=stage.dice.whole(6, 16), percent=70
        )
    return stage.pen.coat(material, cell=6)
