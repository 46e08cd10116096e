"""Scenes outdoors: each a backdrop and the things that belong there."""

from __future__ import annotations

from nd_shapes.backdrops import draw_road, draw_sky, grass
from nd_shapes.birds_and_fish import bird, butterfly, fish, gull
from nd_shapes.buildings import building, house, lighthouse, lit_building
from nd_shapes.leisure import ball, bench, towel, umbrella
from nd_shapes.mammals import cat, cow, dog, horse, puppy, sheep, zebra
from nd_shapes.nature import (
    cactus,
    fir,
    flower,
    mushroom,
    palm,
    rock,
    seaweed,
    tree,
)
from nd_shapes.people import person
from nd_shapes.roadside import fence, streetlight, traffic_light
from nd_shapes.sky import balloon, kite, moon
from nd_shapes.stage import Stage
from nd_shapes.vehicles import bus, car, oncoming_car, sailboat, ship


def street(stage: Stage) -> None:
    """Draw a street by day."""
    draw_sky(stage, 60)
    stage.row((house, house, building, tree), 62, 34, 80)
    draw_road(stage, "grey")
    stage.row((tree, streetlight, traffic_light, fence), 66, 38, 70)
    walkers = (person, person, dog, puppy, bench)
    stage.scatter(walkers, 70, 64, stage.dice.whole(0, 2), smallest=50)
    traffic = (car, car, oncoming_car, bus)
    stage.scatter(traffic, 97, 76, stage.dice.whole(1, 3), smallest=70)
    if stage.dice.chance(30):
        stage.place(person, stage.dice.whole(10, 90), 99, 110)


def downtown(stage: Stage) -> None:
    """Draw tall buildings at night."""
    night = stage.pen.coat(
        "", "black", "black", "blue", "purple", level=40, light="fall"
    )
    stage.layer("sky", 0, 62, night)
    stage.row((lit_building,), 64, 27, 58)
    stage.float((moon,), 15, 20, 1, 100)
    draw_road(stage, "black")
    stage.row((streetlight, streetlight, traffic_light), 68, 32, 76)
    traffic = (oncoming_car, oncoming_car, car, bus)
    stage.scatter(traffic, 97, 74, stage.dice.whole(2, 4), smallest=70)
    stage.pen.lighten(-60, -60, 160, 160, -36)


def field(stage: Stage) -> None:
    """Draw a pasture."""
    draw_sky(stage, 56)
    hills = stage.pen.coat("", "green", "blue", "purple", level=150)
    stage.ridge("mountain", 30, 58, hills, peaks=2)
    stage.layer("grass", 52, 100, grass(stage))
    if stage.dice.chance(40):
        stage.float((balloon, kite), 36, 50, stage.dice.whole(1, 3), 70)
    stage.row((tree, fir), 58, 45, 45)
    if stage.dice.chance(50):
        stage.row((fence,), 62, 46, 90)
    kinds = (horse, cow, sheep, zebra)
    herd = (stage.dice.pick(kinds), stage.dice.pick(kinds))
    stage.scatter(herd, 92, 66, stage.dice.whole(2, 4), smallest=50)
    foreground = (flower, mushroom, rock)
    stage.scatter(foreground, 100, 88, stage.dice.whole(0, 3), smallest=60)


def garden(stage: Stage) -> None:
    """Draw flowers and pets in front of a house."""
    draw_sky(stage, 56)
    stage.row((house, tree, tree), 60, 48, 84)
    stage.layer("grass", 56, 100, grass(stage))
    if stage.dice.chance(60):
        stage.row((fence,), 64, 44, 100)
    lawn = (dog, puppy, cat, bird, ball, bench, person)
    stage.scatter(lawn, 88, 68, stage.dice.whole(1, 3), smallest=70)
    stage.row((flower, flower, mushroom), 101, 16, 100)
    stage.float((butterfly, gull), 40, 80, stage.dice.whole(0, 2), 100)


def beach(stage: Stage) -> None:
    """Draw a beach with the sea behind it."""
    draw_sky(stage, 48)
    stage.layer("sea", 44, 66, stage.pen.coat("water", "sea", cell=5))
    stage.scatter((sailboat, ship), 58, 48, stage.dice.whole(0, 2), smallest=40)
    sand = stage.pen.coat("", "sand", "sand", "white", level=180, cell=4)
    stage.ridge("sand", 58, 66, sand, peaks=2)
    stage.layer("sand", 65, 100, sand)
    if stage.dice.chance(50):
        stage.place(palm, stage.dice.whole(4, 96), 72, 100)
    things = (umbrella, ball, towel, person, gull, dog)
    stage.scatter(things, 97, 74, stage.dice.whole(3, 5), smallest=65)
    if stage.dice.chance(50):
        stage.float((kite, balloon), 34, 46, stage.dice.whole(1, 2), 100)


def ocean(stage: Stage) -> None:
    """Draw ships at sea, sometimes with a lighthouse on a rock."""
    draw_sky(stage, 52)
    stage.layer("sea", 48, 100, stage.pen.coat("water", "sea", cell=5))
    if stage.dice.chance(60):
        x = stage.dice.pick((12, 88))
        stage.place(rock, x, 62, 170)
        stage.place(lighthouse, x, 54, 60)
    ships = (sailboat, sailboat, ship)
    stage.scatter(ships, 92, 58, stage.dice.whole(1, 4), smallest=45)
    stage.float((gull,), 10, 45, stage.dice.whole(0, 3), 100)


def mountains(stage: Stage) -> None:
    """Draw mountains, with firs on snow or grass in front of them."""
    draw_sky(stage, 70)
    distant = stage.pen.coat("stone", "blue", "grey", "purple", level=150, cell=14)
    stage.ridge("mountain", 6, 72, distant, peaks=2, soft=False)
    stone = stage.pen.coat("stone", "grey", "brown", cell=14)
    stage.ridge("mountain", 26, 72, stone, peaks=3, soft=False)
    if stage.dice.chance(65):
        ground = "snow"
        cover = stage.pen.coat("", "white", level=150, cell=8)
    else:
        ground = "grass"
        cover = grass(stage)
    stage.ridge(ground, 56, 66, cover, peaks=2)
    stage.layer(ground, 64, 100, cover)
    stage.row((fir, fir, house), 68, 24, 46)
    foreground = (fir, rock, person, bird, sheep)
    stage.scatter(foreground, 98, 72, stage.dice.whole(2, 4), smallest=60)


def desert(stage: Stage) -> None:
    """Draw a desert with cactuses."""
    draw_sky(stage, 60)
    stone = stage.pen.coat("stone", "red", "brown", "orange", cell=14)
    stage.ridge("mountain", 34, 62, stone, peaks=2, soft=False)
    sand = stage.pen.coat("", "sand", "sand", "orange", level=160, cell=8)
    stage.layer("sand", 58, 100, sand)
    stage.ridge("sand", 60, 74, sand.shaded(18), peaks=2)
    growth = (cactus, cactus, rock)
    stage.scatter(growth, 96, 64, stage.dice.whole(3, 6), smallest=40)
    if stage.dice.chance(40):
        stage.scatter((bird, person, car), 96, 76, 1)


def reef(stage: Stage) -> None:
    """Draw fish and weed under water."""
    water = stage.pen.coat("water", "sea", light="fall", cell=20)
    stage.layer("sea", 0, 100, water)
    sand = stage.pen.coat("", "sand", "white", level=120, cell=4)
    stage.ridge("sand", 76, 92, sand, peaks=2)
    stage.layer("sand", 91, 100, sand)
    growth = (rock, seaweed, seaweed, seaweed)
    stage.scatter(growth, 98, 88, stage.dice.whole(1, 4), smallest=80)
    stage.float((fish,), 22, 84, stage.dice.whole(3, 7), 120)
