"""Vocabulary of COCO: categories of all tables by name, in the order of their ids."""

from __future__ import annotations

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
    concepts = [
        Concept(name, CATEGORY, synonyms_of(name, values_by_name))
        for name in values_by_name
    ]
    return Vocabulary(tuple(concepts), tuple(values))


def synonyms_of(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the name without the suffixes that COCO adds, unless another category has it.

    'wall-other-merged' is 'wall' to other sets.
    """
    plain_name = name
    for suffix in SUFFIXES:
        plain_name = plain_name.removesuffix(suffix)
    return () if plain_name in names else (plain_name,)
