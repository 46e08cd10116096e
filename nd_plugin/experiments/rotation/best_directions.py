"""Best unit of each concept against the best rotated direction: figure 7 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nd_plugin.experiments.spread import Spread
from nd_plugin.results.dissection import Dissection


@dataclass(frozen=True)
class BestDirection:
    """Direction of one rotated basis with the highest IoU for a concept."""

    seed: int
    direction: int
    iou: float


@dataclass(frozen=True)
class ConceptComparison:
    """Best unit of a concept, and the best direction of each rotated basis."""

    concept: str
    category: str
    unit: int
    iou: float
    directions: tuple[BestDirection, ...]  # one for each seed

    @property
    def rotated(self) -> Spread:
        """IoU of the best direction, over the seeds."""
        return Spread.of([direction.iou for direction in self.directions])

    @property
    def best(self) -> BestDirection:
        """Best direction of all seeds; the first where several are equal."""
        return max(self.directions, key=lambda direction: direction.iou)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "concept": self.concept,
            "category": self.category,
            "unit": self.unit,
            "iou": self.iou,
            "rotated": {
                **self.rotated.to_dict(),
                "seeds": [direction.seed for direction in self.directions],
                "directions": [
                    direction.direction for direction in self.directions
                ],
            },
        }


def compare_best(
    own: Dissection, rotated: Mapping[int, Dissection]
) -> tuple[ConceptComparison, ...]:
    """Compare the best detectors of each concept that a unit or a rotated direction detects.

    ``rotated`` are the dissections by seed. Sorted by the IoU of the best unit, highest first.
    Every direction competes for every concept, whatever its label is.
    """
    if not rotated:
        return ()
    min_iou = own.settings.min_iou
    dissections = [own, *rotated.values()]
    peaks = np.stack([dissection.iou.max(0) for dissection in dissections])
    units = np.stack([dissection.iou.argmax(0) for dissection in dissections])
    detected = np.flatnonzero(peaks.max(0) > min_iou)
    order = detected[np.argsort(-peaks[0, detected], kind="stable")]
    return tuple(
        _comparison(
            own, concept, list(rotated), units[:, concept], peaks[:, concept]
        )
        for concept in order.tolist()
    )


def _comparison(
    own: Dissection,
    concept: int,
    seeds: Sequence[int],
    units: np.ndarray[Any, Any],
    peaks: np.ndarray[Any, Any],
) -> ConceptComparison:
    """Compare one concept; units and peaks are (basis,), the layer's own first."""
    directions = tuple(
        BestDirection(seed, int(unit), float(iou))
        for seed, unit, iou in zip(seeds, units[1:], peaks[1:], strict=True)
    )
    return ConceptComparison(
        own.concepts[concept].name,
        own.categories[int(own.category_of[concept])],
        int(units[0]),
        float(peaks[0]),
        directions,
    )
