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
OBJECT, PART, SUBPART, MATERIAL, TEXTURE, COLOR = range(6)  # the planes of an annotation
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
    "head": {"bird", "cat", "cow", "dog", "fish", "horse", "person", "sheep", "zebra"},
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


@dataclass
class Seen:
    """What the first 400 images show."""

    concepts: set[int] = field(default_factory=set)
    worn: set[tuple[str, str]] = field(default_factory=set)  # object, part
    held: set[tuple[str, str]] = field(default_factory=set)  # part, part of the part
    bare: list[str] = field(default_factory=list)  # images with a pixel that shows no object
    wrong: list[str] = field(default_factory=list)  # images whose colour plane differs from their pixels
    uneven: list[tuple[str, str]] = field(default_factory=list)  # textures that show a single colour
    categories: dict[str, set[str]] = field(default_factory=dict)  # of each image


def pairs(shapes: Shapes, first: Plane, second: Plane) -> set[tuple[str, str]]:
    """The names that stand together in a pixel of two planes; "" where the first has no label."""
    both = np.unique(first[second > 0].astype(np.int64) * 1000 + second[second > 0])
    names = ["", *(concept.name for concept in shapes.concepts)]
    return {(names[pair // 1000], names[pair % 1000]) for pair in both}


def one_colored_textures(shapes: Shapes, annotation: Annotation) -> list[str]:
    """Textures that fill much of an image and yet show a single colour name."""
    texture, color = annotation.planes[TEXTURE], annotation.planes[COLOR]
    wide = [label for label in np.unique(texture[texture > 0]) if (texture == label).sum() > 3000]
    return [shapes.concepts[label - 1].name for label in wide if len(np.unique(color[texture == label])) < 2]


@pytest.fixture(scope="module")
def seen() -> Seen:
    shapes, found = Shapes(images=400), Seen()
    for index, name in ((index, shapes.name(index)) for index in range(len(shapes))):
        annotation = shapes.annotation(index)
        planes = annotation.planes
        concepts = {int(label) for plane in planes for label in np.unique(plane)} - {0} | set(annotation.labels)
        found.concepts |= concepts
        found.categories[name] = {shapes.concepts[label - 1].category for label in concepts}
        found.worn |= pairs(shapes, planes[OBJECT], planes[PART])
        found.held |= pairs(shapes, planes[PART], planes[SUBPART])
        found.bare += [name] * bool((planes[OBJECT] == 0).any())
        found.wrong += [name] * bool((color_labels(shapes, index) != planes[COLOR]).any())
        found.uneven += [(name, texture) for texture in one_colored_textures(shapes, annotation)]
    return found


def color_labels(shapes: Shapes, index: int) -> Plane:
    """The labels that the pixels of an image have by their colour names."""
    labels = {concept.name: label for label, concept in enumerate(shapes.concepts, start=1)}
    return np.array([labels[f"{color}-c"] for color in COLORS])[color_name_of(np.asarray(shapes.image(index)))]


def content(shapes: Shapes, index: int) -> bytes:
    """All that a user can get of an image, as bytes."""
    image, annotation = shapes.image(index), shapes.annotation(index)
    planes = b"".join(plane.astype("<i4").tobytes() for plane in annotation.planes)
    return shapes.name(index).encode() + image.tobytes() + planes + str(annotation.labels).encode()


def test_the_hook_offers_a_factory_that_opens_a_concept_set() -> None:
    (spec,) = nd_shapes.nd_concept_sets()
    module, _, name = spec.factory.partition(":")
    shapes = getattr(import_module(module), name)("", images="3", size="40x64", seed="7")
    assert spec.name == "shapes"
    assert isinstance(shapes, ConceptSet)
    assert len(shapes) == 3
    assert shapes.image(0).size == (64, 40)


def test_listing_the_plugin_loads_nothing_that_draws() -> None:
    heavy = "'torch', 'PIL', 'nd_shapes.scenes'"
    code = f"import sys, nd_shapes; nd_shapes.nd_concept_sets(); print([m for m in ({heavy}) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
    one, other = Shapes(images=20, size=64, seed=1), Shapes(images=20, size=64, seed=2)
    assert all(content(one, index) != content(other, index) for index in range(20))


def test_a_longer_set_begins_with_the_shorter_one() -> None:
    short, long = Shapes(images=8, size=64), Shapes(images=900, size=64)
    assert all(content(short, index) == content(long, index) for index in range(8))


def test_survives_pickling() -> None:
    shapes = Shapes(images=5, size=48, seed=3)
    again = pickle.loads(pickle.dumps(shapes))
    assert again.identity == shapes.identity
    assert content(again, 4) == content(shapes, 4)


@pytest.mark.parametrize("size", ["16", "32", "97", "1024", "32x400", "400x32", "300x225"])
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
    small, large = Shapes(size=112).annotation(6), Shapes(size=448).annotation(6)
    same = [(a == b[1::4, 1::4]).mean() for a, b in zip(small.planes[:MATERIAL], large.planes, strict=False)]
    assert min(same) > 0.97


def test_every_concept_occurs_within_400_images(seen: Seen) -> None:
    concepts = Shapes().concepts
    missing = [concept.name for number, concept in enumerate(concepts, 1) if number not in seen.concepts]
    assert missing == []


def test_categories_are_brodens_in_brodens_order() -> None:
    shapes = Shapes()
    assert shapes.categories == ("object", "part", "scene", "material", "texture", "color")
    assert tuple(dict.fromkeys(concept.category for concept in shapes.concepts)) == shapes.categories
    assert len({concept.name for concept in shapes.concepts}) == len(shapes.concepts)


def test_the_eleven_colors_have_brodens_names() -> None:
    colors = {concept.name for concept in Shapes().concepts if concept.category == "color"}
    assert colors == {f"{color}-c" for color in COLORS}
    assert len(colors) == 11
    assert "grey-c" in colors


def test_every_pixel_shows_an_object(seen: Seen) -> None:
    assert seen.bare == []


def test_every_pixel_has_the_color_that_the_truth_says(seen: Seen) -> None:
    assert seen.wrong == []


def test_every_image_has_objects_materials_and_colors(seen: Seen) -> None:
    assert all({"object", "material", "color"} <= categories for categories in seen.categories.values())


def test_every_image_but_a_close_up_has_a_scene(seen: Seen) -> None:
    without = {name.split("-")[0] for name, categories in seen.categories.items() if "scene" not in categories}
    assert without == {"closeup"}


def test_most_images_have_parts_and_textures(seen: Seen) -> None:
    for category in ("part", "texture"):
        assert sum(category in categories for categories in seen.categories.values()) > 280


def test_the_name_tells_the_scene() -> None:
    shapes = Shapes(images=15, size=32)
    for index in range(15):
        scenes = [shapes.concepts[label - 1].name for label in shapes.annotation(index).labels]
        kind, number = shapes.name(index).split("-")
        assert number == f"{index:05d}"
        assert scenes == ([] if kind == "closeup" else [f"{kind}-s"])


def test_parts_lie_on_objects_that_have_them(seen: Seen) -> None:
    assert all(thing for thing, _ in seen.worn)
    strange = [(thing, part) for thing, part in seen.worn if thing not in WEARERS.get(part, {thing})]
    assert strange == []
    assert WEARERS.keys() <= {part for _, part in seen.worn}


def test_parts_of_parts_lie_on_parts_that_have_them(seen: Seen) -> None:
    assert all(part for part, _ in seen.held)
    strange = [(part, subpart) for part, subpart in seen.held if part not in HOLDERS.get(subpart, {part})]
    assert strange == []
    assert HOLDERS.keys() <= {subpart for _, subpart in seen.held}


def test_textures_show_two_colors(seen: Seen) -> None:
    assert seen.uneven == []


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
    cube = np.array(list(product(range(0, 256, 15), repeat=3)), dtype=np.uint8).reshape(18, 18, 18, 3)
    names = color_name_of(cube)
    assert names.shape == (18, 18, 18)
    assert set(names.ravel()) == set(range(11))


def test_shapes_that_share_a_side_leave_no_gap_and_do_not_overlap() -> None:
    corners = [(3, 5), (1900, 250), (1700, 1999), (130, 1500)]
    middle, size = (871, 733), (32, 32)
    triangles = [[corners[k - 1], corners[k], middle] for k in range(4)]
    covered = np.zeros(size, dtype=int)
    for triangle in triangles:
        stamp = raster.polygons([triangle], size)
        covered[stamp.window] += stamp.mask
    whole = raster.polygons([corners], size)
    expected = np.zeros(size, dtype=int)
    expected[whole.window] = whole.mask
    assert (covered == expected).all()


def test_identity_says_all_that_decides_the_content() -> None:
    identity = Shapes(images="20", size="64x48", seed="5").identity
    assert identity.name == "shapes"
    assert identity.source == "shapes?images=20&size=64x48&seed=5"
    assert Shapes(images=20, size="64X48", seed=5).identity == identity
    others = [Shapes(images=21, size="64x48", seed=5), Shapes(images=20, size=64, seed=5), Shapes(images=20, seed=5)]
    assert len({identity.fingerprint, *(other.identity.fingerprint for other in others)}) == 4


@pytest.mark.parametrize("index", [3, -1])
def test_there_is_no_image_beyond_the_last(index: int) -> None:
    shapes = Shapes(images=3, size=32)
    for ask in (shapes.name, shapes.image, shapes.annotation):
        with pytest.raises(IndexError, match=f"no image {index}: shapes has images 0 to 2"):
            ask(index)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "many"}, "images=many is not a whole number of at least 1"),
        ({"images": "0"}, "images=0 is not a whole number of at least 1"),
        ({"images": -3}, "images=-3 is not"),
        ({"size": "big"}, "size=big is not N or HEIGHTxWIDTH in pixels, each 16 to 4096"),
        ({"size": "8"}, "size=8 is not"),
        ({"size": "64x9999"}, "size=64x9999 is not"),
        ({"size": "64x64x3"}, "size=64x64x3 is not"),
        ({"size": "64x"}, "size=64x is not"),
        ({"seed": "x"}, "seed=x is not a whole number"),
        ({"argument": "/some/folder"}, "shapes takes options only, got '/some/folder'"),
    ],
)
def test_a_bad_option_is_named_with_a_remedy(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConceptSetInvalid) as error:
        Shapes(**options)
    assert message in str(error.value)
    assert "for example shapes?images=500&size=224&seed=0" in str(error.value)
