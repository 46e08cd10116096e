"""Detectors of one layer in two models: kept, lost, gained, renamed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nd_plugin.report.layer_report import UnitScore
from nd_plugin.results.dissection import Dissection

KEPT = "kept"  # a detector of one concept in both models
LOST = "lost"  # a detector in the origin only
GAINED = "gained"  # a detector in the model only
RENAMED = "renamed"  # a detector in both, of two concepts


@dataclass(frozen=True)
class UnitLabel:
    """Label of a unit in one model, detector or not."""

    concept: str
    category: str
    iou: float
    detector: bool

    @classmethod
    def of(cls, score: UnitScore) -> UnitLabel:
        """Return the label of a unit of a report."""
        return cls(score.concept, score.category, score.iou, score.detector)


@dataclass(frozen=True)
class UnitChange:
    """Unit that is no longer the same detector: its label in the model, and in the origin."""

    unit: int
    change: str  # "lost" | "gained" | "renamed"
    model: UnitLabel
    origin: UnitLabel


@dataclass(frozen=True)
class DetectorCounts:
    """Counts of the origin's detectors that a model has kept, and of its other detectors."""

    kept: int
    lost: int
    gained: int
    renamed: int

    @property
    def origin(self) -> int:
        """Detectors of the origin."""
        return self.kept + self.lost + self.renamed

    @property
    def model(self) -> int:
        """Detectors of the model."""
        return self.kept + self.gained + self.renamed

    @property
    def share_kept(self) -> float | None:
        """Share of the origin's detectors that are kept; None where it has none."""
        return self.kept / self.origin if self.origin else None


def total(counts: Iterable[DetectorCounts]) -> DetectorCounts:
    """Add up the counts of several layers."""
    listed = list(counts)
    return DetectorCounts(
        kept=sum(layer.kept for layer in listed),
        lost=sum(layer.lost for layer in listed),
        gained=sum(layer.gained for layer in listed),
        renamed=sum(layer.renamed for layer in listed),
    )


def compare_units(
    first: Dissection, second: Dissection
) -> tuple[tuple[int, ...], tuple[UnitChange, ...]]:
    """Return the units that are kept as detectors, and those that changed, by unit number."""
    kept: list[int] = []
    changes: list[UnitChange] = []
    pairs = zip(first.unit_scores(), second.unit_scores(), strict=True)
    for model_score, origin_score in pairs:
        change = _change(model_score, origin_score)
        if change == KEPT:
            kept.append(model_score.unit)
        elif change:
            labels = (UnitLabel.of(model_score), UnitLabel.of(origin_score))
            changes.append(UnitChange(model_score.unit, change, *labels))
    return tuple(kept), tuple(changes)


def _change(model: UnitScore, origin: UnitScore) -> str:
    """Return what became of a unit; "" for one that is a detector in neither model."""
    if model.detector and origin.detector:
        is_same = (model.concept, model.category) == (
            origin.concept,
            origin.category,
        )
        return KEPT if is_same else RENAMED
    if origin.detector:
        return LOST
    return GAINED if model.detector else ""


def count_changes(
    kept: Sequence[int], changes: Sequence[UnitChange]
) -> DetectorCounts:
    """Count the units of each kind of change."""
    kinds = [unit.change for unit in changes]
    return DetectorCounts(
        kept=len(kept),
        lost=kinds.count(LOST),
        gained=kinds.count(GAINED),
        renamed=kinds.count(RENAMED),
    )
