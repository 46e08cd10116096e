"""Vocabularies and annotations in the numbers of another vocabulary: a part's, or a union's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import Annotation, Concept, ConceptSet
from nd_plugin.contracts.set_checks import read_annotation
from nd_plugin.pictures.stored_integers import strips_of
from nd_plugin.probe_data.items import check_labels, own_size

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Vocabulary:
    """Concepts, and their categories in the order of reports."""

    concepts: tuple[Concept, ...]
    categories: tuple[str, ...]

    @classmethod
    def union(cls, parts: Sequence[ConceptSet]) -> Vocabulary:
        """Return the concepts of all parts, each name of a category once, with all its synonyms."""
        merged: dict[tuple[str, str], Concept] = {}
        categories: dict[str, None] = {}
        for part in parts:
            categories.update(dict.fromkeys(part.categories))
            for concept in part.concepts:
                key = (concept.name, concept.category)
                known = merged.get(key, concept)
                synonyms = dict.fromkeys([*known.synonyms, *concept.synonyms])
                merged[key] = Concept(*key, tuple(synonyms))
        return cls(tuple(merged.values()), tuple(categories))

    @classmethod
    def part(cls, whole: ConceptSet, numbers: Iterable[int]) -> Vocabulary:
        """Return concepts of a set by their numbers, and the categories that they leave."""
        concepts = tuple(whole.concepts[number] for number in numbers)
        used = {concept.category for concept in concepts}
        categories = (category for category in whole.categories if category in used)
        return cls(concepts, tuple(categories))

    def table_from(self, concepts: Sequence[Concept]) -> Integers:
        """Return the value here of each value v of another vocabulary, (v,); 0 where it has none.

        In the smallest type.
        """
        values = {
            (concept.name, concept.category): value
            for value, concept in enumerate(self.concepts, start=1)
        }
        table = np.zeros(len(concepts) + 1, np.min_scalar_type(len(self.concepts)))
        for value, concept in enumerate(concepts, start=1):
            table[value] = values.get((concept.name, concept.category), 0)
        return table


def translated_annotation(
    concepts: ConceptSet, index: int, table: Integers
) -> Annotation:
    """Return the annotation of an image, in the values that ``table`` gives; see `table_from`.

    It keeps its resolution; planes without any label are left out. Raises ConceptSetInvalid for
    what is no annotation, and ValueError for values outside the set's vocabulary.
    """
    annotation = read_annotation(concepts, index)
    translated = [
        translate(np.asarray(plane), table) for plane in annotation.planes
    ]
    labels = translate(np.array(annotation.labels, np.int64)[None], table)
    return Annotation(
        [plane for plane in translated if plane.any()],
        tuple(int(value) for value in labels[0] if value),
        own_size(annotation),
        annotation.remarks,
    )


def translate(values: Integers, table: Integers) -> Integers:
    """Return the values of a plane (row, column) in another vocabulary.

    Strip by strip, as indices into a table take 8 bytes a pixel. Raises ValueError for values
    outside the vocabulary, and for a plane that is not (row, column).
    """
    if values.ndim != 2:
        raise ValueError(f"a plane of shape {values.shape} is not (row, column)")
    check_labels(values, len(table) - 1)
    plane = np.empty(values.shape, table.dtype)
    for strip in strips_of(values.shape):
        plane[strip] = table.take(values[strip])
    return plane
