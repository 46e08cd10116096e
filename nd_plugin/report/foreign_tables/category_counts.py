"""Counts of detectors as the authors' plots and their summary of networks have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nd_plugin.report.layer_report import UnitScore


@dataclass(frozen=True)
class CategoryCounts:
    """Detectors by category as the authors' plots count them: by the best concept of each category.

    A unit counts in every category whose best concept is above the limit of detectors.
    """

    unique: Mapping[str, int]  # distinct concepts, by category
    units: Mapping[str, int]  # by category

    @property
    def total(self) -> int:
        """Unique detectors, summed over categories."""
        return sum(self.unique.values())


def count_per_category(
    category_scores: Mapping[str, Sequence[UnitScore]],
) -> CategoryCounts:
    """Count detectors among every unit's best concept of each category, by category."""
    concepts = {
        category: [score.concept for score in scores if score.detector]
        for category, scores in category_scores.items()
    }
    unique = {category: len(set(names)) for category, names in concepts.items()}
    units = {category: len(names) for category, names in concepts.items()}
    return CategoryCounts(unique, units)
