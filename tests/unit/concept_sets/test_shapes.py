import hashlib
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import nd_shapes
from nd_plugin import Annotation, ConceptSet, ConceptSetInvalid
from nd_shapes import raster
from nd_shapes.palette import COLORS, color_name_of
from nd_shapes.scenes import Shapes

Plane = npt.NDArray[np.integer[Any]]
# the planes of an annotation
OBJECT, PART, SUBPART, MATERIAL, TEXTURE, COLOR = range(6)
WEARERS: Mapping[str, set[str]] = {  # which objects may have a part
    "wheel": {"car", "bus"},
    "license plate": {"car"},
    "sail": {"boat", "kite"},
    "hull": {"boat"},
    "roof": {"house", "building", "lighthouse"},
    "chimney": {"house"},
    "crown": {"tree", "palm"},
    "trunk": {"tree", "palm", "cactus"},
    "canopy": {"umbrella"},
    "dial": {"clock"},
    "drawer": {"cabinet"},
    "blanket": {"bed"},
    "picket": {"fence"},
    "fin": {"fish"},
    "wing": {"bird", "butterfly"},
    "blossom": {"flower", "cactus"},
    "head": {
        "bird",
        "cat",
        "cow",
        "dog",
        "fish",
        "horse",
        "person",
        "sheep",
        "zebra",
    },
}
HOLDERS: Mapping[str, set[str]] = {  # which parts a part of a part may belong to
    "eye": {"head"},
    "ear": {"head"},
    "beak": {"head"},
    "mouth": {"head"},
    "hat": {"head"},
    "hand": {"arm", "dial"},
    "foot": {"leg"},
    "hub": {"wheel"},
    "petal": {"blossom"},
    "pistil": {"blossom"},
    "fruit": {"crown"},
    "collar": {"neck"},
    "mane": {"neck"},
    "label": {"body"},
}


@pytest.fixture(scope="module", autouse=True)
def scenes_are_drawn_once() -> None:
    """Draw them each time: these are the tests of drawing."""


@dataclass
class Summary:
    """Labels of the first 400 images."""

    concepts: set[int] = field(default_factory=set)
    object_parts: set[tuple[str, str]] = field(default_factory=set)  # object, part
    # part, part of the part
    subparts: set[tuple[str, str]] = field(default_factory=set)
    without_object: list[str] = field(default_factory=list)
    # images with a pixel of no object
    # images whose colour plane is wrong
    miscolored: list[str] = field(default_factory=list)
    # image, texture
    one_colored: list[tuple[str, str]] = field(default_factory=list)
    categories: dict[str, set[str]] = field(default_factory=dict)  # of each image


def pairs(shapes: Shapes, first: Plane, second: Plane) -> set[tuple[str, str]]:
    """Return the names that meet in a pixel of two planes; "" where the first has no label."""
    codes = np.unique(
        first[second > 0].astype(np.int64) * 1000 + second[second > 0]
    )
    names = ["", *(concept.name for concept in shapes.concepts)]
    return {(names[code // 1000], names[code % 1000]) for code in codes}


def one_colored_textures(shapes: Shapes, annotation: Annotation) -> list[str]:
    """Return the textures that fill much of an image and yet show a single colour name."""
    texture = annotation.planes[TEXTURE]
    color = annotation.planes[COLOR]
    names = []
    for label in np.unique(texture[texture > 0]):
        covered = texture == label
        if covered.sum() > 3000 and len(np.unique(color[covered])) < 2:
            names.append(shapes.concepts[label - 1].name)
    return names


@pytest.fixture(scope="module")
def summary() -> Summary:
    shapes = Shapes(images=400)
    totals = Summary()
    for index in range(len(shapes)):
        name = shapes.name(index)
        annotation = shapes.annotation(index)
        planes = annotation.planes
        concepts = set(annotation.labels)
        for plane in planes:
            concepts.update(int(label) for label in np.unique(plane) if label)
        totals.concepts |= concepts
        totals.categories[name] = {
            shapes.concepts[label - 1].category for label in concepts
        }
        totals.object_parts |= pairs(shapes, planes[OBJECT], planes[PART])
        totals.subparts |= pairs(shapes, planes[PART], planes[SUBPART])
        if (planes[OBJECT] == 0).any():
            totals.without_object.append(name)
        if (color_labels(shapes, index) != planes[COLOR]).any():
            totals.miscolored.append(name)
        for texture in one_colored_textures(shapes, annotation):
            totals.one_colored.append((name, texture))
    return totals


def color_labels(shapes: Shapes, index: int) -> Plane:
    """Return the labels of the colour names that the pixels of an image have."""
    labels = {
        concept.name: label
        for label, concept in enumerate(shapes.concepts, start=1)
    }
    labels_of_colors = np.array([labels[f"{color}-c"] for color in COLORS])
    colors = color_name_of(np.asarray(shapes.image(index)))
    return labels_of_colors[colors]


def content(shapes: Shapes, index: int) -> bytes:
    """Return name, pixels, planes and labels of an image, as bytes."""
    image = shapes.image(index)
    annotation = shapes.annotation(index)
    planes = b"".join(plane.astype("<i4").tobytes() for plane in annotation.planes)
    return (
        shapes.name(index).encode()
        + image.tobytes()
        + planes
        + str(annotation.labels).encode()
    )


def test_the_hook_offers_a_factory_that_opens_a_concept_set() -> None:
    (spec,) = nd_shapes.nd_concept_sets()
    module, _, name = spec.factory.partition(":")
    shapes = getattr(import_module(module), name)(
        "", images="3", size="40x64", seed="7"
    )
    assert spec.name == "shapes"
    assert isinstance(shapes, ConceptSet)
    assert len(shapes) == 3
    assert shapes.image(0).size == (64, 40)


def test_listing_the_plugin_loads_nothing_that_draws() -> None:
    heavy = "'torch', 'PIL', 'nd_shapes.scenes'"
    code = (
        "import sys, nd_shapes; nd_shapes.nd_concept_sets(); "
        f"print([module for module in ({heavy}) if module in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("index", "size", "expected"),
    [  # another value here means another VERSION in nd_shapes.scenes
        (0, "224", "149acc0b7989dce7"),  # kitchen-00000
        (1, "224", "47900a16705971b8"),  # desert-00001
        (2, "224", "dee0308301063e75"),  # closeup-00002
        (3, "224", "622ff0179a35833c"),  # closeup-00003
        (4, "224", "ad5effc8b023d111"),  # beach-00004
        (5, "224", "5a857465d173a818"),  # garden-00005
        (6, "224", "0d6ebf05562e21dc"),  # downtown-00006
        (7, "224", "1163894d5d299978"),  # street-00007
        (8, "224", "7f3d3c7530679d18"),  # field-00008
        (9, "224", "31b0af31eec367a5"),  # underwater-00009
        (10, "224", "28c32c4e435b773e"),  # ocean-00010
        (11, "224", "4688c8468ad8abf7"),  # living_room-00011
        (12, "224", "f792846bc8e05208"),  # closeup-00012
        (13, "224", "043160d919e0277b"),  # mountain-00013
        (14, "224", "9e1d154d8cf25a1c"),  # bedroom-00014
        (20, "96x160", "1d9b4a09dcfb15fe"),  # desert-00020
        (31, "500", "3ba4164a96251924"),  # closeup-00031
    ],
)
def test_the_same_on_every_machine(index: int, size: str, expected: str) -> None:
    shapes = Shapes(images=400, size=size, seed=0)
    assert hashlib.sha256(content(shapes, index)).hexdigest()[:16] == expected


def test_other_seeds_draw_other_images() -> None:
    first_seed = Shapes(images=20, size=64, seed=1)
    second_seed = Shapes(images=20, size=64, seed=2)
    assert all(
        content(first_seed, index) != content(second_seed, index)
        for index in range(20)
    )


def test_a_longer_set_begins_with_the_shorter_one() -> None:
    shorter = Shapes(images=8, size=64)
    longer = Shapes(images=900, size=64)
    assert all(
        content(shorter, index) == content(longer, index) for index in range(8)
    )


def test_survives_pickling() -> None:
    shapes = Shapes(images=5, size=48, seed=3)
    unpickled = pickle.loads(pickle.dumps(shapes))
    assert unpickled.identity == shapes.identity
    assert content(unpickled, 4) == content(shapes, 4)


@pytest.mark.parametrize(
    "size", ["16", "32", "97", "1024", "32x400", "400x32", "300x225"]
)
def test_any_size(size: str) -> None:
    height, width = int(size.split("x")[0]), int(size.split("x")[-1])
    shapes = Shapes(images=15, size=size)
    for index in (0, 7, 14):
        image, annotation = shapes.image(index), shapes.annotation(index)
        assert image.mode == "RGB"
        assert image.size == (width, height)
        assert {plane.shape for plane in annotation.planes} == {(height, width)}
        assert (color_labels(shapes, index) == annotation.planes[COLOR]).all()


def test_the_scene_scales_with_the_size() -> None:
    small = Shapes(size=112).annotation(6).planes[:MATERIAL]
    large = Shapes(size=448).annotation(6).planes[:MATERIAL]
    equal_fractions = []
    for small_plane, large_plane in zip(small, large, strict=True):
        equal_fractions.append((small_plane == large_plane[1::4, 1::4]).mean())
    assert min(equal_fractions) > 0.97


def test_every_concept_occurs_within_400_images(summary: Summary) -> None:
    concepts = Shapes().concepts
    absent_concepts = []
    for label, concept in enumerate(concepts, start=1):
        if label not in summary.concepts:
            absent_concepts.append(concept.name)
    assert absent_concepts == []


def test_categories_are_brodens_in_brodens_order() -> None:
    shapes = Shapes()
    assert shapes.categories == (
        "object",
        "part",
        "scene",
        "material",
        "texture",
        "color",
    )
    assert (
        tuple(dict.fromkeys(concept.category for concept in shapes.concepts))
        == shapes.categories
    )
    assert len({concept.name for concept in shapes.concepts}) == len(
        shapes.concepts
    )


def test_the_eleven_colors_have_brodens_names() -> None:
    colors = {
        concept.name for concept in Shapes().concepts if concept.category == "color"
    }
    assert colors == {f"{color}-c" for color in COLORS}
    assert len(colors) == 11
    assert "grey-c" in colors


def test_every_pixel_shows_an_object(summary: Summary) -> None:
    assert summary.without_object == []


def test_every_pixel_has_the_color_that_the_truth_says(summary: Summary) -> None:
    assert summary.miscolored == []


def test_every_image_has_objects_materials_and_colors(summary: Summary) -> None:
    for categories in summary.categories.values():
        assert {"object", "material", "color"} <= categories


def test_every_image_but_a_close_up_has_a_scene(summary: Summary) -> None:
    kinds_without_scene = set()
    for name, categories in summary.categories.items():
        if "scene" not in categories:
            kinds_without_scene.add(name.split("-")[0])
    assert kinds_without_scene == {"closeup"}


def test_most_images_have_parts_and_textures(summary: Summary) -> None:
    for category in ("part", "texture"):
        assert (
            sum(
                category in categories for categories in summary.categories.values()
            )
            > 280
        )


def test_the_name_tells_the_scene() -> None:
    shapes = Shapes(images=15, size=32)
    for index in range(15):
        scenes = [
            shapes.concepts[label - 1].name
            for label in shapes.annotation(index).labels
        ]
        kind, number = shapes.name(index).split("-")
        assert number == f"{index:05d}"
        assert scenes == ([] if kind == "closeup" else [f"{kind}-s"])


def test_parts_lie_on_objects_that_have_them(summary: Summary) -> None:
    assert all(thing for thing, _ in summary.object_parts)
    for thing, part in summary.object_parts:
        assert thing in WEARERS.get(part, {thing}), f"{part} on {thing}"
    assert WEARERS.keys() <= {part for _, part in summary.object_parts}


def test_parts_of_parts_lie_on_parts_that_have_them(summary: Summary) -> None:
    assert all(part for part, _ in summary.subparts)
    for part, subpart in summary.subparts:
        assert part in HOLDERS.get(subpart, {part}), f"{subpart} on {part}"
    assert HOLDERS.keys() <= {subpart for _, subpart in summary.subparts}


def test_textures_show_two_colors(summary: Summary) -> None:
    assert summary.one_colored == []


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"),
        ((30, 60, 220), "blue"),
        ((110, 70, 40), "brown"),
        ((128, 128, 128), "grey"),
        ((30, 160, 40), "green"),
        ((250, 140, 20), "orange"),
        ((250, 170, 190), "pink"),
        ((130, 40, 160), "purple"),
        ((220, 20, 20), "red"),
        ((255, 255, 255), "white"),
        ((240, 230, 30), "yellow"),
    ],
)
def test_color_names(rgb: tuple[int, int, int], name: str) -> None:
    assert COLORS[color_name_of(rgb)] == name


def test_every_rgb_has_a_color_name() -> None:
    cube = np.array(
        list(product(range(0, 256, 15), repeat=3)), dtype=np.uint8
    ).reshape(18, 18, 18, 3)
    names = color_name_of(cube)
    assert names.shape == (18, 18, 18)
    assert set(names.ravel()) == set(range(11))


def test_shapes_that_share_a_side_leave_no_gap_and_do_not_overlap() -> None:
    corners = [(3, 5), (1900, 250), (1700, 1999), (130, 1500)]
    middle = (871, 733)
    size = (32, 32)
    triangles = [[corners[k - 1], corners[k], middle] for k in range(4)]
    covered = np.zeros(size, dtype=int)
    for triangle in triangles:
        stamp = raster.polygons([triangle], size)
        covered[stamp.window] += stamp.mask
    polygon = raster.polygons([corners], size)
    expected = np.zeros(size, dtype=int)
    expected[polygon.window] = polygon.mask
    assert (covered == expected).all()


def is_inside(x: int, y: int, lines: list[list[raster.Point]]) -> bool:
    """Return whether a ray to the left crosses the lines an odd number of times."""
    crossings = 0
    for line in lines:
        for (start_x, start_y), (end_x, end_y) in zip(
            line, line[1:] + line[:1], strict=True
        ):
            if (start_y <= y) != (end_y <= y):
                run = (y - start_y) * (end_x - start_x) // (end_y - start_y)
                crossings += start_x + run <= x
    return crossings % 2 == 1


def test_polygons_cover_the_centres_that_the_plain_even_odd_rule_finds() -> None:
    random = np.random.default_rng(0)
    height, width = 11, 14
    for _ in range(40):
        corners = random.integers(-200, 1100, (2, 5, 2)).tolist()
        lines = [[(x, y) for x, y in line] for line in corners]
        expected = np.zeros((height, width), dtype=bool)
        for row, column in product(range(height), range(width)):
            x = column * raster.ONE + raster.ONE // 2
            y = row * raster.ONE + raster.ONE // 2
            expected[row, column] = is_inside(x, y, lines)
        stamp = raster.polygons(lines, (height, width))
        covered = np.zeros((height, width), dtype=bool)
        covered[stamp.window] = stamp.mask
        assert (covered == expected).all()


def test_identity_says_all_that_decides_the_content() -> None:
    identity = Shapes(images="20", size="64x48", seed="5").identity
    assert identity.name == "shapes"
    assert identity.source == "shapes?images=20&size=64x48&seed=5"
    assert Shapes(images=20, size="64X48", seed=5).identity == identity
    variants = [
        Shapes(images=21, size="64x48", seed=5),
        Shapes(images=20, size=64, seed=5),
        Shapes(images=20, seed=5),
    ]
    assert (
        len(
            {
                identity.fingerprint,
                *(variant.identity.fingerprint for variant in variants),
            }
        )
        == 4
    )


@pytest.mark.parametrize("index", [3, -1])
def test_there_is_no_image_beyond_the_last(index: int) -> None:
    shapes = Shapes(images=3, size=32)
    for ask in (shapes.name, shapes.image, shapes.annotation):
        with pytest.raises(
            IndexError, match=f"no image {index}: shapes has images 0 to 2"
        ):
            ask(index)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "many"}, "images=many is not a whole number of at least 1"),
        ({"images": "0"}, "images=0 is not a whole number of at least 1"),
        ({"images": -3}, "images=-3 is not"),
        (
            {"size": "big"},
            "size=big is not N or HEIGHTxWIDTH in pixels, each 16 to 4096",
        ),
        ({"size": "8"}, "size=8 is not"),
        ({"size": "64x9999"}, "size=64x9999 is not"),
        ({"size": "64x64x3"}, "size=64x64x3 is not"),
        ({"size": "64x"}, "size=64x is not"),
        ({"seed": "x"}, "seed=x is not a whole number"),
        (
            {"argument": "/some/folder"},
            "shapes takes options only, got '/some/folder'",
        ),
    ],
)
def test_a_bad_option_is_named_with_a_remedy(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConceptSetInvalid) as error:
        Shapes(**options)
    assert message in str(error.value)
    assert "for example shapes?images=500&size=224&seed=0" in str(error.value)
