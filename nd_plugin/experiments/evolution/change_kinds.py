"""Kinds of change of a unit's concept, derived from categories and IoU profiles.

In section 3.7 of the paper people judged what the old and the new concept of a unit have in
common: shape, texture, colour, object type, or nothing. Here the unit itself tells: a low-level
concept that it matches at both stages, above the limit of detectors, is what they have in common;
else the category of both concepts is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nd_plugin.results.dissection import Dissection

NONE = "none"
OBJECT_TYPE = "object type"
# categories whose concepts are a property of what a unit sees
LOW_LEVEL: Mapping[str, tuple[str, ...]] = {
    "shape": ("shape",),
    "texture": ("texture", "material"),
    "colour": ("color", "colour"),
}
OBJECTS = ("object", "part")
DERIVED = (
    "kinds of change are derived from categories and IoU profiles; the paper's were judged by "
    "people"
)
Integers = npt.NDArray[np.int64]


def change_kind(
    first: Dissection, last: Dissection, unit: int, labels: tuple[str, str]
) -> str:
    """Return what a unit's concepts of two stages have in common.

    ``labels`` are the categories of both. It is "shape", "texture" or "colour" where the unit's
    best concept of such a category is the same at both stages, with IoUs above the limit of
    detectors (the one with the highest lower IoU of the two); else "object type" or the name of a
    category that both concepts have; else "none".
    """
    strengths = {
        kind: _shared_strength(first, last, unit, categories)
        for kind, categories in LOW_LEVEL.items()
    }
    kind = max(strengths, key=lambda name: strengths[name])
    if strengths[kind] > first.settings.min_iou:
        return kind
    return common_category(*labels)


def common_category(first: str, last: str) -> str:
    """Return the kind of change between concepts of two categories, by the categories alone."""
    if {first, last} <= set(OBJECTS):
        return OBJECT_TYPE
    for kind, categories in LOW_LEVEL.items():
        if {first, last} <= set(categories):
            return kind
    return first if first == last else NONE


def _shared_strength(
    first: Dissection, last: Dissection, unit: int, categories: Sequence[str]
) -> float:
    """Return the lower IoU of a concept that is the best of some categories at both stages.

    0 where the best concepts differ, and where no concept is of these categories.
    """
    concepts = concepts_of(first, categories)
    if not len(concepts):
        return 0.0
    first_iou = first.iou[unit, concepts]
    last_iou = last.iou[unit, concepts]
    if first_iou.argmax() != last_iou.argmax():
        return 0.0
    return float(min(first_iou.max(), last_iou.max()))


def concepts_of(dissection: Dissection, categories: Sequence[str]) -> Integers:
    """Return the concepts of some categories, as indices."""
    category_indices = [
        index
        for index, category in enumerate(dissection.categories)
        if category in categories
    ]
    return np.flatnonzero(np.isin(dissection.category_of, category_indices))


def profile_similarity(first: Dissection, last: Dissection, unit: int) -> float:
    """Return the cosine between a unit's IoUs with all concepts at two stages; 0 for no overlap."""
    first_profile = first.iou[unit]
    last_profile = last.iou[unit]
    lengths = float(np.linalg.norm(first_profile) * np.linalg.norm(last_profile))
    return float(first_profile @ last_profile) / lengths if lengths else 0.0


def notes_of_kinds(dissection: Dissection) -> tuple[str, ...]:
    """Return that kinds are derived, and which cannot be for want of a category."""
    missing = [
        kind
        for kind, categories in LOW_LEVEL.items()
        if not set(categories) & set(dissection.categories)
    ]
    if not missing:
        return (DERIVED,)
    listed = " and ".join(missing)
    return (
        f"{DERIVED}; changes that keep {listed} cannot be told: the concept set has no such "
        "category",
    )
