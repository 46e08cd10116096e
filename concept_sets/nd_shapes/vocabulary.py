"""Vocabulary of ``shapes`` by category, with Broden's names for concepts that Broden has."""

from __future__ import annotations

from collections.abc import Mapping

from nd_plugin import Concept
from nd_shapes.materials import RELIEFS
from nd_shapes.palette import COLORS
from nd_shapes.patterns import PATTERNS
from nd_shapes.places import SCENES

OBJECTS = (
    "apple", "ball", "balloon", "banana", "bed", "bench", "bird", "boat", "book",
    "bookcase", "bottle", "bowl", "building", "bus", "butterfly", "cabinet", "cactus",
    "car", "cat", "chair", "chandelier", "clock", "cloud", "cow", "crosswalk", "cup",
    "curtain", "cushion", "dog", "fence", "fish", "floor", "flower", "grass", "horse",
    "house", "kite", "lamp", "lighthouse", "moon", "mountain", "mushroom", "orange",
    "painting", "palm", "person", "pillow", "plant", "road", "rock", "rug", "sand", "sea",
    "sheep", "sidewalk", "sky", "snow", "sofa", "streetlight", "sun", "table", "teapot",
    "television", "towel", "traffic light", "tree", "umbrella", "vase", "wall",
    "windowpane", "zebra",
)  # fmt: skip
PARTS = (
    "antenna", "arm", "back", "base", "basket", "beak", "blanket", "blossom", "body",
    "branch", "bulb", "bumper", "cabin", "canopy", "cap", "chimney", "cloth", "collar",
    "crown", "dial", "door", "drawer", "ear", "envelope", "eye", "fin", "flag", "foot",
    "footboard", "frame", "fruit", "funnel", "grille", "hand", "handle", "hat", "head",
    "headboard", "headlight", "horn", "hub", "hull", "label", "lane", "lantern", "leaf",
    "leg", "license plate", "lid", "mane", "mast", "mattress", "mouth", "muzzle", "neck",
    "nose", "pane", "petal", "picket", "pistil", "pole", "pot", "rim", "roof", "sail",
    "screen", "seat", "shade", "shelf", "spout", "stem", "tail", "top", "torso", "trunk",
    "wheel", "window", "wing",
)  # fmt: skip

# by category, in Broden's order of categories
NAMES: Mapping[str, tuple[str, ...]] = {
    "object": OBJECTS,
    "part": PARTS,
    "scene": tuple(f"{scene}-s" for scene in sorted(SCENES)),
    "material": tuple(material for material in sorted(RELIEFS) if material),
    "texture": tuple(sorted(PATTERNS)),
    "color": tuple(f"{color}-c" for color in COLORS),
}
CONCEPTS = tuple(
    Concept(name, category) for category, names in NAMES.items() for name in names
)
# in planes
LABELS = {concept.name: value for value, concept in enumerate(CONCEPTS, start=1)}
