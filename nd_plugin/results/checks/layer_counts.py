"""Plausibility of a saved layer: counts, thresholds and top images that some dissection gives.

An archive may be whole, its arrays of the right types and shapes, and its content impossible. What
equation 1 says of every run is checked here::

    0 ≤ |M_k ∩ L_c| ≤ min(|M_k|, |L_c|)     |M_k|, |L_c| ≤ pixels of the images of the category
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.fold_counts import FoldCounts

Array = npt.NDArray[Any]
MOST_LOCATIONS = 2**63
LARGEST_MASK = 2**40  # pixels, of an image


def check_counts(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Check the content of a layer. Raises ValueError that names what is impossible."""
    _check_vocabulary(fields)
    category_of = indices_of_categories(fields["concepts"], fields["categories"])
    _check_areas(arrays, category_of, len(fields["image_names"]))
    check_overlaps(
        arrays["intersection"],
        arrays["unit_area"],
        arrays["concept_area"],
        category_of,
    )
    _check_units(arrays)
    _check_top_images(arrays, len(fields["image_names"]))
    if "histogram_counts" in arrays or "histogram_ranges" in arrays:
        _check_histograms(arrays, fields["locations"])


def check_significance(
    fields: Mapping[str, Any], folds: FoldCounts | None, chance: ChanceCounts | None
) -> None:
    """Check that counts by fold and by permutation are as many as the settings say.

    Raises ValueError.
    """
    settings = fields["settings"]
    fold_count = 0 if folds is None else folds.folds
    permutations = 0 if chance is None else chance.permutations
    for name, count in (("folds", fold_count), ("permutations", permutations)):
        stated = getattr(settings, name)
        # results made by hand may say nothing of them
        if stated and count not in (0, stated):
            raise ValueError(
                f"it has {count} {name}, and its settings say {stated}"
            )
    if chance is not None and chance.fixed_images > len(fields["image_names"]):
        raise ValueError("chance_fixed_images are more than the images")


def _check_vocabulary(fields: Mapping[str, Any]) -> None:
    categories = fields["categories"]
    if len(set(categories)) < len(categories):
        raise ValueError("a category is there twice")
    unknown = {concept.category for concept in fields["concepts"]}
    unknown.difference_update(categories)
    if unknown:
        raise ValueError(f"concepts are of unknown categories {sorted(unknown)}")
    if not 0 < fields["locations"] < MOST_LOCATIONS:
        raise ValueError(f"locations is {fields['locations']}")


def indices_of_categories(
    concepts: Sequence[Concept], categories: Sequence[str]
) -> Array:
    """Return the index of each concept's category, (concept,)."""
    indices = {category: index for index, category in enumerate(categories)}
    return np.array([indices[concept.category] for concept in concepts], np.int64)


def _check_areas(
    arrays: Mapping[str, Array], category_of: Array, images: int
) -> None:
    """Check that areas are no larger than the images that they were counted in."""
    category_images = arrays["category_images"]
    check_within("category_images", category_images, images)
    pixels = arrays.get("category_pixels")
    if pixels is None:
        # of an earlier version: the masks are of no size that is known
        pixels = np.where(category_images > 0, np.iinfo(np.int64).max, 0)
    else:
        most = category_images.astype(np.float64) * LARGEST_MASK
        check_within("category_pixels", pixels, most)
    check_within("unit_area", arrays["unit_area"], pixels)
    check_within("concept_area", arrays["concept_area"], pixels[category_of])


def check_overlaps(
    intersection: Array, unit_area: Array, concept_area: Array, category_of: Array
) -> None:
    """Check that no intersection (unit, concept) is larger than what it is one of.

    That is ``unit_area`` (unit, category) in the category of the concept, and ``concept_area``
    (concept,). Raises ValueError.
    """
    check_within("intersection", intersection, concept_area)
    for category in np.unique(category_of).tolist():
        largest = intersection[:, category_of == category].max(axis=1)
        check_within("intersection", largest, unit_area[:, category])


def check_within(name: str, numbers: Array, most: Array | int | None) -> None:
    """Raise ValueError for a number that is negative, or above ``most`` if that is given."""
    if numbers.min(initial=0) < 0:
        raise ValueError(f"{name} has a negative number")
    if most is not None and bool((numbers > most).any()):
        raise ValueError(f"{name} has a number that is larger than it can be")


def _check_units(arrays: Mapping[str, Array]) -> None:
    thresholds = arrays["thresholds"]
    if not np.isfinite(thresholds).all():
        raise ValueError("thresholds has a number that is not finite")
    if bool((arrays["dead"] & arrays["sparse"]).any()):
        raise ValueError("a unit is dead and sparse")


def _check_top_images(arrays: Mapping[str, Array], images: int) -> None:
    top_images = arrays["top_images"]
    activations = arrays["top_activations"]
    check_within("top_images", top_images, images - 1)
    ordered = np.sort(top_images, axis=1)
    if bool((np.diff(ordered, axis=1) == 0).any()):
        raise ValueError("top_images has an image of a unit twice")
    if not np.isfinite(activations).all():
        raise ValueError("top_activations has a number that is not finite")
    if bool((activations[:, 1:] > activations[:, :-1]).any()):
        raise ValueError("top_activations does not descend")


def _check_histograms(arrays: Mapping[str, Array], locations: int) -> None:
    if "histogram_counts" not in arrays or "histogram_ranges" not in arrays:
        raise ValueError("of histogram_counts and histogram_ranges one is missing")
    counts = arrays["histogram_counts"]
    check_within("histogram_counts", counts, locations)
    ranges = arrays["histogram_ranges"]
    if not np.isfinite(ranges).all() or bool((ranges[:, 1] < ranges[:, 0]).any()):
        raise ValueError("histogram_ranges has a range that is none")
