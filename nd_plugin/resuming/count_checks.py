"""Plausibility of the counts in a saved state (see `state_checks`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.borders.damage import damage_refused
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.engine.state import CountState, State
from nd_plugin.errors import RunInvalid
from nd_plugin.results.checks.layer_counts import (
    check_overlaps,
    check_within,
    indices_of_categories,
)
from nd_plugin.significance.folds import FoldSums
from nd_plugin.significance.image_concepts import ImageConcepts

Array = npt.NDArray[Any]
ANY = -1  # length of an axis


def check_counted(
    counted: CountState, units: Mapping[str, int], images: int
) -> None:
    """Check counts; ``units`` are the number of each layer. Raises ValueError."""
    concepts = len(np.atleast_1d(counted.areas.area))
    categories = len(np.atleast_1d(counted.areas.images))
    _check_numbers("area", counted.areas.area, (concepts,))
    _check_numbers("images", counted.areas.images, (categories,), images)
    pixels = counted.areas.pixels
    if pixels is not None:
        _check_numbers("pixels", pixels, (categories,))
    for (layer, _), counts in counted.units.items():
        intersection = counts.intersection.numpy()
        shape = (units.get(layer, ANY), concepts)
        _check_numbers("intersection", intersection, shape, counted.areas.area)
        unit_area = counts.unit_area.numpy()
        shape = (units.get(layer, ANY), categories)
        _check_numbers("unit_area", unit_area, shape, pixels)
    for (layer, _), sums in counted.folds.items():
        _check_fold_sums(sums, units.get(layer, ANY), concepts, categories)
    for image_concepts in counted.image_concepts:
        _check_image_concepts(image_concepts, concepts, images)


def check_vocabulary(state: State, concepts: ConceptSet, folder: object) -> None:
    """Raise RunInvalid for counts that are not of the concepts and categories of a set."""
    if state.counted is None:
        return
    counts = (len(state.counted.areas.area), len(state.counted.areas.images))
    expected = (len(concepts.concepts), len(concepts.categories))
    if counts != expected:
        raise RunInvalid(
            f"the checkpoint in {folder} is damaged: it counts {counts[0]} concepts in "
            f"{counts[1]} categories, and the concept set has {expected[0]} in {expected[1]}"
        )
    with damage_refused(
        f"the checkpoint in {folder}", "remove it, and start again"
    ):
        _check_categories(state.counted, concepts)


def _check_categories(counted: CountState, concepts: ConceptSet) -> None:
    """Check counts against those of their concept's category. Raises ValueError."""
    category_of = indices_of_categories(concepts.concepts, concepts.categories)
    areas = counted.areas
    if areas.pixels is not None:
        check_within("area", areas.area, areas.pixels[category_of])
    of_folds = [sums.over_folds() for sums in counted.folds.values()]
    for counts in [*counted.units.values(), *of_folds]:
        check_overlaps(
            counts.intersection.numpy(),
            counts.unit_area.numpy(),
            areas.area,
            category_of,
        )


def _check_numbers(
    name: str,
    numbers: Array,
    shape: tuple[int, ...],
    most: Array | int | None = None,
) -> None:
    """Check that numbers are int64 of a shape, not negative, and at most ``most``."""
    if numbers.dtype != np.int64 or numbers.shape != shape:
        raise ValueError(
            f"{name} is {numbers.dtype}{numbers.shape}, where int64{shape} belongs"
        )
    check_within(name, numbers, most)


def _check_fold_sums(
    sums: FoldSums, units: int, concepts: int, categories: int
) -> None:
    folds = len(sums.unit_area)
    _check_numbers("fold unit_area", sums.unit_area, (folds, units, categories))
    if sums.concepts != concepts:
        raise ValueError(f"its folds are of {sums.concepts} concepts of {concepts}")


def _check_image_concepts(
    image_concepts: ImageConcepts, concepts: int, images: int
) -> None:
    count = len(image_concepts.images)
    entries = len(image_concepts.concepts)
    _check_numbers("images", image_concepts.images, (count,), images - 1)
    _check_numbers("sizes", image_concepts.sizes, (count, 2))
    _check_numbers(
        "concept_counts", image_concepts.concept_counts, (count,), concepts
    )
    _check_numbers("concepts", image_concepts.concepts, (entries,), concepts - 1)
    _check_numbers("areas", image_concepts.areas, (entries,))
    if int(image_concepts.concept_counts.sum()) != entries:
        raise ValueError("concepts are not as many as concept_counts say")
