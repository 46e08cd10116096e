"""Names of labels, made comparable across sources, in the form that Broden's label.csv has.

::

    object, part, …   Left_Front leg     -> leg           lower case, spaces, no positional words
    scene             Living room        -> living_room-s no name of an object: "street" is another
                      forest/broadleaf   -> forest-broadleaf-s
    color             Red                -> red-c

Paper section 2.1: positional distinctions such as 'left' and 'top' are ignored.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from nd_plugin.contracts.concept_sets import Concept

COLOR = "color"
SCENE = "scene"
SUFFIXES = {COLOR: "-c", SCENE: "-s"}
CATEGORY_SPELLINGS = {"colour": COLOR, "colors": COLOR, "colours": COLOR}
POSITIONAL = frozenset(["left", "right", "front", "back", "upper", "lower", "side"])
# the thing itself where they stand last: the back of a chair, the side of a bed
NOUNS = frozenset(["front", "back", "side"])
# single things whose names are also written as two words
COMPOUNDS = frozenset(
    ["back pack", "back board", "back drop", "side board", "side car", "side walk"]
)
# of cells of label.csv, which hold several synonyms
SEPARATOR = ";"
SPACES = re.compile(r"[\s_]+")


@dataclass(frozen=True)
class LabelNames:
    """Name of a label and its synonyms, all of them normalised; each name once."""

    name: str
    synonyms: tuple[str, ...]


def normalise_concept(concept: Concept) -> LabelNames:
    """Return the names of a concept. A name of which nothing is left is the empty text."""
    category = normalise_category(concept.category)
    name = normalise_name(concept.name, category)
    synonyms = [normalise_name(text, category) for text in concept.synonyms]
    distinct = dict.fromkeys(synonym for synonym in synonyms if synonym)
    distinct.pop(name, None)
    return LabelNames(name, tuple(distinct))


def normalise_category(category: str) -> str:
    """Return a category in Broden's spelling: ``color`` for ``colour``.

    No underscore is in it: ``street_part.png`` is the mask of a category ``part``.
    """
    text = " ".join(category.split()).lower().replace("_", "-")
    return CATEGORY_SPELLINGS.get(text, text)


def normalise_name(text: str, category: str = "") -> str:
    """Return a name as labels of a category have it; without one, as its own suffix says."""
    plain = unicodedata.normalize("NFC", text).lower().replace(SEPARATOR, ",")
    plain = SPACES.sub(" ", plain).strip(" ,")
    suffix = SUFFIXES.get(category) or ("" if category else _suffix_of(plain))
    if not suffix:
        return drop_positional(plain)
    stem = plain.removesuffix(suffix)
    if suffix == SUFFIXES[SCENE]:
        stem = stem.strip("/").replace("/", "-")
    return f"{stem.replace(' ', '_')}{suffix}" if stem else ""


def _suffix_of(name: str) -> str:
    """Return the suffix that a name has already, or ""."""
    return next(
        (suffix for suffix in SUFFIXES.values() if name.endswith(suffix)), ""
    )


def drop_positional(name: str) -> str:
    """Drop positional words from a name: ``left front leg`` is a ``leg``.

    A name of nothing else keeps its last word, and so does one that ends in the thing itself:
    ``chair back``, ``left side``.
    """
    words = name.split(" ")
    if name in COMPOUNDS or POSITIONAL.isdisjoint(words):
        return name
    last = len(words) - 1
    is_thing = words[last] in NOUNS or POSITIONAL.issuperset(words)
    kept_words = [
        word
        for place, word in enumerate(words)
        if word not in POSITIONAL or (place == last and is_thing)
    ]
    return " ".join(kept_words)


def has_positional(text: str, category: str) -> bool:
    """Return whether `normalise_name` drops positional words from a text."""
    if category in SUFFIXES:
        return False
    words = SPACES.sub(" ", text.lower()).strip().split(" ")
    return len(words) > len(normalise_name(text, category).split(" "))
