"""Vocabulary of COCO: categories of all tables by name, in the order of their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nd_coco.tables import CategoryNames
from nd_plugin import Concept

CATEGORY = "object"  # things and stuff
# of names that stand for the rest of a kind, or for several categories of COCO-Stuff
SUFFIXES = ("-merged", "-other", "-stuff")


@dataclass(frozen=True)
class Vocabulary:
    """Concepts, and the plane values of each table's categories."""

    concepts: tuple[Concept, ...]
    values: tuple[Mapping[int, int], ...]  # by table: plane value by category id


def read_vocabulary(tables: Iterable[CategoryNames]) -> Vocabulary:
    """Return the concepts of all tables; categories of one name are one concept.

    A supercategory is no synonym: dog and cat would be merged as 'animal'.
    """
    values_by_name: dict[str, int] = {}
    values = []
    for categories in tables:
        table_values = {}
        for number, name in sorted(categories.names.items()):
            new_value = len(values_by_name) + 1
            table_values[number] = values_by_name.setdefault(name, new_value)
        values.append(table_values)
    plain_names = Counter(map(plain_name, values_by_name))
    concepts = []
    for name in values_by_name:
        plain = plain_name(name)
        is_ambiguous = plain_names[plain] > 1
        concepts.append(concept_of(name, name if is_ambiguous else plain))
    return Vocabulary(tuple(concepts), tuple(values))


def concept_of(stored_name: str, name: str) -> Concept:
    """Return the concept of a category, whose stored name is a synonym of another name."""
    synonyms = () if name == stored_name else (stored_name,)
    return Concept(name, CATEGORY, synonyms)


def plain_name(name: str) -> str:
    """Return a name without the suffixes that COCO adds: 'wall-other-merged' is 'wall'."""
    plain = name
    for suffix in SUFFIXES:
        plain = plain.removesuffix(suffix)
    return plain or name
