"""The kinds of scene: each a backdrop and the things that belong there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nd_shapes import (
    animals,
    buildings,
    fittings,
    furniture,
    leisure,
    nature,
    roadside,
    sky,
    tableware,
    vehicles,
)
from nd_shapes.canvas import Coat
from nd_shapes.pen import Sketch
from nd_shapes.stage import Stage

Scene = Callable[[Stage], None]


def street(stage: Stage) -> None:
    """A street by day."""
    _sky(stage, 60)
    stage.row((buildings.house, buildings.house, buildings.building, nature.tree), 62, 34, 80)
    _road(stage, "grey")
    stage.row(
        (nature.tree, roadside.streetlight, roadside.traffic_light, roadside.fence), 66, 38, 70
    )
    walkers = (animals.person, animals.person, animals.dog, animals.puppy, leisure.bench)
    stage.scatter(walkers, 70, 64, stage.dice.whole(0, 2), smallest=50)
    traffic = (vehicles.car, vehicles.car, vehicles.oncoming_car, vehicles.bus)
    stage.scatter(traffic, 97, 76, stage.dice.whole(1, 3), smallest=70)
    if stage.dice.chance(30):
        stage.place(animals.person, stage.dice.whole(10, 90), 99, 110)


def downtown(stage: Stage) -> None:
    """Tall buildings by night."""
    stage.layer(
        "sky", 0, 62, stage.pen.coat("", "black", "black", "blue", "purple", level=40, light="fall")
    )
    stage.row((buildings.lit_building,), 64, 27, 58)
    stage.float((sky.moon,), 15, 20, 1, 100)
    _road(stage, "black")
    stage.row((roadside.streetlight, roadside.streetlight, roadside.traffic_light), 68, 32, 76)
    traffic = (vehicles.oncoming_car, vehicles.oncoming_car, vehicles.car, vehicles.bus)
    stage.scatter(traffic, 97, 74, stage.dice.whole(2, 4), smallest=70)
    stage.pen.lighten(-60, -60, 160, 160, -36)


def field(stage: Stage) -> None:
    """A pasture."""
    _sky(stage, 56)
    stage.ridge(
        "mountain", 30, 58, stage.pen.coat("", "green", "blue", "purple", level=150), peaks=2
    )
    stage.layer("grass", 52, 100, _grass(stage))
    if stage.dice.chance(40):
        stage.float((sky.balloon, sky.kite), 36, 50, stage.dice.whole(1, 3), 70)
    stage.row((nature.tree, nature.fir), 58, 45, 45)
    if stage.dice.chance(50):
        stage.row((roadside.fence,), 62, 46, 90)
    kinds = (animals.horse, animals.cow, animals.sheep, animals.zebra)
    herd = (stage.dice.pick(kinds), stage.dice.pick(kinds))
    stage.scatter(herd, 92, 66, stage.dice.whole(2, 4), smallest=50)
    stage.scatter(
        (nature.flower, nature.mushroom, nature.rock),
        100,
        88,
        stage.dice.whole(0, 3),
        smallest=60,
    )


def garden(stage: Stage) -> None:
    """Flowers and pets before a house."""
    _sky(stage, 56)
    stage.row((buildings.house, nature.tree, nature.tree), 60, 48, 84)
    stage.layer("grass", 56, 100, _grass(stage))
    if stage.dice.chance(60):
        stage.row((roadside.fence,), 64, 44, 100)
    pets = (
        animals.dog,
        animals.puppy,
        animals.cat,
        animals.bird,
        leisure.ball,
        leisure.bench,
        animals.person,
    )
    stage.scatter(pets, 88, 68, stage.dice.whole(1, 3), smallest=70)
    stage.row((nature.flower, nature.flower, nature.mushroom), 101, 16, 100)
    stage.float((animals.butterfly, animals.gull), 40, 80, stage.dice.whole(0, 2), 100)


def beach(stage: Stage) -> None:
    """Sand, sea and sun."""
    _sky(stage, 48)
    stage.layer("sea", 44, 66, stage.pen.coat("water", "sea", cell=5))
    stage.scatter((vehicles.sailboat, vehicles.ship), 58, 48, stage.dice.whole(0, 2), smallest=40)
    sand = stage.pen.coat("", "sand", "sand", "white", level=180, cell=4)
    stage.ridge("sand", 58, 66, sand, peaks=2)
    stage.layer("sand", 65, 100, sand)
    if stage.dice.chance(50):
        stage.place(nature.palm, stage.dice.whole(4, 96), 72, 100)
    things = (
        leisure.umbrella,
        leisure.ball,
        leisure.towel,
        animals.person,
        animals.gull,
        animals.dog,
    )
    stage.scatter(things, 97, 74, stage.dice.whole(3, 5), smallest=65)
    if stage.dice.chance(50):
        stage.float((sky.kite, sky.balloon), 34, 46, stage.dice.whole(1, 2), 100)


def ocean(stage: Stage) -> None:
    """Sailing boats and a lighthouse."""
    _sky(stage, 52)
    stage.layer("sea", 48, 100, stage.pen.coat("water", "sea", cell=5))
    if stage.dice.chance(60):
        x = stage.dice.pick((12, 88))
        stage.place(nature.rock, x, 62, 170)
        stage.place(buildings.lighthouse, x, 54, 60)
    stage.scatter(
        (vehicles.sailboat, vehicles.sailboat, vehicles.ship),
        92,
        58,
        stage.dice.whole(1, 4),
        smallest=45,
    )
    stage.float((animals.gull,), 10, 45, stage.dice.whole(0, 3), 100)


def mountains(stage: Stage) -> None:
    """Snow and firs."""
    _sky(stage, 70)
    distant = stage.pen.coat("stone", "blue", "grey", "purple", level=150, cell=14)
    stage.ridge("mountain", 6, 72, distant, peaks=2, soft=False)
    stage.ridge(
        "mountain", 26, 72, stage.pen.coat("stone", "grey", "brown", cell=14), peaks=3, soft=False
    )
    ground = "snow" if stage.dice.chance(65) else "grass"
    cover = stage.pen.coat("", "white", level=150, cell=8) if ground == "snow" else _grass(stage)
    stage.ridge(ground, 56, 66, cover, peaks=2)
    stage.layer(ground, 64, 100, cover)
    stage.row((nature.fir, nature.fir, buildings.house), 68, 24, 46)
    things = (nature.fir, nature.rock, animals.person, animals.bird, animals.sheep)
    stage.scatter(things, 98, 72, stage.dice.whole(2, 4), smallest=60)


def desert(stage: Stage) -> None:
    """Sand and cactuses."""
    _sky(stage, 60)
    stage.ridge(
        "mountain",
        34,
        62,
        stage.pen.coat("stone", "red", "brown", "orange", cell=14),
        peaks=2,
        soft=False,
    )
    sand = stage.pen.coat("", "sand", "sand", "orange", level=160, cell=8)
    stage.layer("sand", 58, 100, sand)
    stage.ridge("sand", 60, 74, sand.shaded(18), peaks=2)
    stage.scatter(
        (nature.cactus, nature.cactus, nature.rock),
        96,
        64,
        stage.dice.whole(3, 6),
        smallest=40,
    )
    if stage.dice.chance(40):
        stage.scatter((animals.bird, animals.person, vehicles.car), 96, 76, 1)


def reef(stage: Stage) -> None:
    """Under water."""
    stage.layer("sea", 0, 100, stage.pen.coat("water", "sea", light="fall", cell=20))
    sand = stage.pen.coat("", "sand", "white", level=120, cell=4)
    stage.ridge("sand", 76, 92, sand, peaks=2)
    stage.layer("sand", 91, 100, sand)
    growth = (nature.rock, nature.seaweed, nature.seaweed, nature.seaweed)
    stage.scatter(growth, 98, 88, stage.dice.whole(1, 4), smallest=80)
    stage.float((animals.fish,), 22, 84, stage.dice.whole(3, 7), 120)


def living_room(stage: Stage) -> None:
    """A sofa and what stands round it."""
    _room(stage, wood=75)
    stage.float((fittings.painting, fittings.clock, fittings.painting), 34, 38, 1, 100)
    stage.place(fittings.window, stage.dice.pick((14, 86)), 52, 100, shadow=False)
    stage.scatter(
        (furniture.bookcase, fittings.lamp, tableware.potted_plant), 70, 68, 2, smallest=90
    )
    if stage.dice.chance(60):
        stage.pen.of("rug").oval(14, 76, 86, 98, stage.pen.printed("fabric", period=12))
    stage.place(furniture.sofa, stage.dice.whole(30, 70), 86, 100)
    pets = (
        animals.cat,
        animals.puppy,
        leisure.ball,
        animals.person,
        furniture.table,
        furniture.chair,
    )
    stage.scatter(pets, 99, 90, stage.dice.whole(0, 2), smallest=90)


def kitchen(stage: Stage) -> None:
    """Cabinets and a table laid."""
    _room(stage, wood=30)
    stage.place(fittings.pendant, stage.dice.whole(20, 80), 30, 90, shadow=False)
    stage.float((fittings.clock,), 30, 36, 1, 100)
    if stage.dice.chance(60):
        stage.place(fittings.window, stage.dice.whole(30, 70), 44, 76, shadow=False)
    for x in (22, 78):
        stage.place(furniture.cabinet, x, 86, 104)
        _laid(stage, x, 50, 75)
    stage.place(furniture.table, 50, 99, 110)
    _laid(stage, 50, 67, 95)
    if stage.dice.chance(50):
        stage.scatter(
            (furniture.chair, animals.cat, animals.person, animals.dog), 100, 96, 1, smallest=100
        )


def bedroom(stage: Stage) -> None:
    """A bed under a painting."""
    _room(stage, wood=80)
    stage.place(fittings.window, stage.dice.whole(10, 90), 52, 100, shadow=False)
    stage.float((fittings.painting, fittings.clock), 30, 34, 1, 90)
    stage.scatter(
        (furniture.bookcase, fittings.lamp, furniture.chair, fittings.television),
        72,
        69,
        2,
        smallest=90,
    )
    stage.place(furniture.bed, stage.dice.whole(36, 64), 90, 110)
    strewn = (animals.cat, tableware.book, leisure.ball, animals.puppy)
    stage.scatter(strewn, 99, 94, stage.dice.whole(0, 2), smallest=90)


def close_up(stage: Stage) -> None:
    """One or two things before a backdrop, as large as they go; a picture without a scene."""
    stage.dice.pick((_outside, _before_cloth, _before_wall, _before_wall))(stage)
    count = stage.dice.pick((1, 1, 2))
    for index in range(count):
        thing = stage.dice.pick(PORTRAITS)
        wide = thing.height * max(100, thing.aspect) // 100
        x = 50 + (index * 48 - 24) * (count - 1) + stage.dice.whole(-6, 6)
        stage.place(thing, x, 94, stage.dice.whole(62, 84) * (130 - 30 * count) // wide)


def _outside(stage: Stage) -> None:
    _sky(stage, 72)
    stage.layer("grass", stage.dice.whole(60, 70), 100, _grass(stage))


def _before_cloth(stage: Stage) -> None:
    stage.layer(
        "curtain", 0, 100, stage.pen.dressed("fabric", period=stage.dice.whole(8, 20), percent=60)
    )


def _before_wall(stage: Stage) -> None:
    stage.layer("wall", 0, 100, _wall(stage))
    stage.layer("table", stage.dice.whole(74, 90), 100, stage.pen.coat("wood", cell=7, level=150))


def _wall(stage: Stage) -> Coat:
    material = stage.dice.pick(("paper", "paper", "brick", "concrete", "wood"))
    if material == "paper":
        return stage.pen.dressed("paper", period=stage.dice.whole(6, 16), percent=70)
    return stage.pen.coat(material, cell=6)


def _sky(stage: Stage, bottom: int) -> None:
    colors = (*("sky",) * 8, "grey", "orange", "pink", "purple")
    stage.layer("sky", 0, bottom, stage.pen.coat("", *colors, level=170, light="fall", cell=60))
    if stage.dice.chance(40):
        stage.float((sky.sun,), 18, 30, 1, 90)
    stage.float((sky.cloud,), 12, bottom - 12, stage.dice.whole(0, 4), 90)
    if stage.dice.chance(30):
        stage.float((animals.gull,), 14, bottom - 10, stage.dice.whole(1, 3), 80)


def _grass(stage: Stage) -> Coat:
    return stage.pen.coat("foliage", "grass", level=120, light="fall", cell=3)


def _road(stage: Stage, color: str) -> None:
    stage.layer("sidewalk", 60, 72, stage.pen.coat("concrete", "grey", "brown", level=190, cell=4))
    stage.layer("road", 71, 100, stage.pen.coat("concrete", color, level=80, cell=4))
    lane = stage.pen.coat("", "white", "yellow")
    if stage.dice.chance(35):
        crossing = stage.pen.printed("concrete", "white", "grey", textures=("striped",), period=9)
        stage.pen.of("crosswalk").polygon([(30, 72), (60, 72), (70, 100), (24, 100)], crossing)
    dashes = [[(x, 84), (x + 10, 84), (x + 9, 86), (x - 1, 86)] for x in range(2, 100, 20)]
    stage.pen.of("road").polygons(dashes, lane, "lane")


def _room(stage: Stage, wood: int) -> None:
    stage.layer("wall", 0, 66, _wall(stage))
    if stage.dice.chance(wood):
        stage.layer(
            "floor", 64, 100, stage.pen.coat("wood", "brown", "brown", "grey", "yellow", cell=6)
        )
    else:
        tiles = stage.pen.printed(
            "ceramic", textures=("chequered", "grid", "honeycombed"), period=14
        )
        stage.layer("floor", 64, 100, tiles)
    stage.layer("floor", 63, 65, stage.pen.coat("wood", "white", "brown"))


def _laid(stage: Stage, x: int, foot: int, scale: int) -> None:
    """Two or three things on a table or a shelf."""
    for shift in (-14, 0, 14):
        if stage.dice.chance(80):
            stage.place(stage.dice.pick(TABLEWARE), x + shift, foot, scale)


TABLEWARE = (
    tableware.bottle, tableware.cup, tableware.teapot, tableware.bowl, tableware.apple, tableware.orange, tableware.banana,
    tableware.vase, tableware.book,
)  # fmt: skip
PORTRAITS: tuple[Sketch, ...] = (
    *TABLEWARE, fittings.clock, fittings.lamp, furniture.chair, tableware.potted_plant, animals.dog, animals.puppy,
    animals.cat, animals.bird, animals.butterfly, animals.cow, animals.horse, animals.sheep, animals.zebra,
    animals.fish, animals.person, nature.flower, nature.mushroom, leisure.ball, leisure.umbrella,
    nature.cactus, sky.balloon, vehicles.car, vehicles.oncoming_car, vehicles.sailboat,
)  # fmt: skip
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
