"""Records of a layer for reports, from a run or from a CSV file of the original NetDissect code."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from nd_plugin.report.foreign_tables.category_counts import (
    CategoryCounts,
    count_per_category,
)

if TYPE_CHECKING:
    from nd_plugin.report.error_bars.records import ChanceLevel, LayerIntervals
    from nd_plugin.report.mask_overlays import TopImage
    from nd_plugin.results.dissection import Dissection

# of a unit and its label: fields of `UnitScore`, columns, values of ``--by``
SCORE_NAMES = ("iou", "precision", "recall", "f1", "correlation")


@dataclass(frozen=True)
class UnitScore:
    """One unit and its label."""

    unit: int  # 0-based
    concept: str
    category: str
    iou: float
    threshold: float | None  # None where the source does not tell
    intersection: int
    unit_area: int
    concept_area: int
    detector: bool
    state: str = "live"  # "live" | "sparse" | "dead"
    # scores beside IoU (docs/method.md); None where the source does not tell
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    correlation: float | None = None

    def value(self, score: str) -> float:
        """Return a score by its name; the lowest number where the source does not tell."""
        value = getattr(self, score)
        return -math.inf if value is None else float(value)

    @property
    def overlaps(self) -> bool:
        """Whether the unit's mask overlaps the concept at all."""
        return self.iou > 0 and self.concept.strip() != ""

    def __repr__(self) -> str:
        parts = [f"{self.concept} ({self.category})", f"IoU {self.iou:.4f}"]
        if self.threshold is not None:
            parts.append(f"threshold {self.threshold:.4g}")
        parts.append("detector" if self.detector else "no detector")
        if self.state != "live":
            parts.append(self.state)
        return f"UnitScore(unit {self.unit}: {', '.join(parts)})"


@dataclass(frozen=True)
class Summary:
    """Counts by which the paper compares layers; ``nd report --json`` prints these.

    ``unique_detectors_per_category`` is what the authors' plots count: distinct best-in-category
    labels, summed over categories (docs/method.md).
    """

    layer: str
    units: int
    detectors: int
    unique_detectors: int
    unique_detectors_by_category: Mapping[str, int]
    unique_detectors_per_category: int
    detectors_by_category: Mapping[str, int]
    concepts: int | None  # None where the source does not tell
    images: int | None
    dead: int = 0
    sparse: int = 0
    quantile: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        parts = [
            f"{self.units} units",
            f"{self.detectors} detectors",
            f"{self.unique_detectors} unique ({self._unique_of_categories()})",
            f"{self.unique_detectors_per_category} unique counted per category",
            f"{self.dead} dead",
            f"{self.sparse} sparse",
        ]
        if self.images is not None:
            parts.append(f"{self.images} images")
        if self.quantile is not None:
            parts.append(f"quantile {self.quantile:g}")
        return f"Summary({self.layer!r}: {', '.join(parts)})"

    def _unique_of_categories(self) -> str:
        """List the unique detectors of each category that has any."""
        counts = self.unique_detectors_by_category.items()
        listed = [f"{category} {count}" for category, count in counts if count]
        return ", ".join(listed) or "no category"


# What a source records of a layer: units with their IoU; counts by category, and no units; or
# labels of units without IoU.
Recorded = Literal["units", "counts", "labels"]


@dataclass(frozen=True)
class NearestMiss:
    """Best match of a category that no unit detects."""

    score: UnitScore  # a unit, and the concept of the category that it matches best
    label: str  # the concept that the unit detects; "" if it is no detector


@dataclass(frozen=True)
class LayerReport:
    """Everything a reporter gets to see of one layer."""

    layer: str
    categories: tuple[str, ...]
    scores: tuple[UnitScore, ...]
    summary: Summary
    min_iou: float
    facts: Mapping[str, str] = field(default_factory=dict)  # what was run, in words
    notes: tuple[str, ...] = ()  # fallbacks taken, images skipped
    # every unit with its best concept of a category, by category
    category_scores: Mapping[str, tuple[UnitScore, ...]] = field(
        default_factory=dict
    )
    first_unit_in_source: int = 0  # number of unit 0 in the file that was read
    precision: str = ""  # of the model's arithmetic; "" where it is not recorded
    run: str = ""  # name of the run, where reports of several stand side by side
    # that labels and orders units; see `Dissection.labelled_by`
    label_score: str = "iou"
    # the result itself, with its pictures; None where only a CSV file is left of it
    dissection: Dissection | None = field(default=None, compare=False)
    recorded: Recorded = "units"
    # of a source without units; its summary's unique detectors are counted per category, too
    recorded_counts: CategoryCounts | None = None

    def __repr__(self) -> str:
        plural = "s" if len(self.notes) > 1 else ""
        notes = f"; {len(self.notes)} note{plural}" if self.notes else ""
        return (
            f"LayerReport({self.layer!r}: {self.summary.detectors} detectors of "
            f"{self.summary.unique_detectors} concepts among {self.summary.units} units, "
            f"IoU > {self.min_iou:g}{notes})"
        )

    @property
    def title(self) -> str:
        """Name of the layer, behind that of its run where several are reported."""
        if self.run in ("", self.layer):
            return self.layer
        return f"{self.run} {self.layer}"

    def category_counts(self) -> CategoryCounts:
        """Return the detectors by category as the authors' plots count them."""
        if self.recorded_counts is not None:
            return self.recorded_counts
        return count_per_category(self.category_scores)

    def counted_per_category(self) -> LayerReport:
        """Return this report with the counts of the authors' plots in its summary."""
        counts = self.category_counts()
        summary = replace(
            self.summary,
            unique_detectors=counts.total,
            unique_detectors_by_category=counts.unique,
            detectors_by_category=counts.units,
        )
        return replace(self, summary=summary)

    @property
    def intervals(self) -> LayerIntervals | None:
        """Intervals of counts and IoU, 95 %; None where the run has no folds."""
        dissection = self.dissection
        if dissection is None or dissection.folds is None:
            return None
        return dissection.intervals()

    @property
    def chance_level(self) -> ChanceLevel | None:
        """Counts to expect by chance; None where the run has no permutations."""
        dissection = self.dissection
        if dissection is None or dissection.chance is None:
            return None
        return dissection.chance_level

    def top_images(self, unit: int, most: int = 5) -> list[TopImage]:
        """Return the first top images of a unit, with picture and mask where the run has them.

        None at all for a CSV file. Raises BadInput for a unit that the layer has not.
        """
        if self.dissection is None:
            return []
        return self.dissection.show(unit, images=most).top_images()

    def best(
        self, category: str, most: int | None = None
    ) -> list[tuple[UnitScore, int]]:
        """Return the best detector of each concept of a category, best first.

        Each comes with the number of units that detect the concept.
        """
        detectors = [
            score
            for score in self.scores
            if score.detector and score.category == category
        ]
        detectors.sort(key=self.sort_key)
        units_of = Counter(unit.concept for unit in detectors)
        best_of: dict[str, UnitScore] = {}
        for unit in detectors:
            best_of.setdefault(unit.concept, unit)
        best = [(unit, units_of[concept]) for concept, unit in best_of.items()]
        return best[:most]

    @property
    def score_name(self) -> str:
        """Name of the score that labels units, as it stands in reports."""
        names = {"iou": "IoU", "f1": "F1"}
        return names.get(self.label_score, self.label_score)

    def sort_key(self, score: UnitScore) -> float:
        """Return a key that sorts units by the score that labels them, best first."""
        return -score.value(self.label_score)

    def nearest_misses(self) -> list[NearestMiss]:
        """Return the best match of each category without detectors, if a unit overlaps any.

        Its IoU is above ``min_iou`` only where the unit detects a concept of another category.
        """
        labels = {unit.unit: unit.concept for unit in self.scores if unit.detector}
        misses = []
        for category in self.categories_without_detectors():
            scores = self.category_scores.get(category, ())
            overlapping = [score for score in scores if score.overlaps]
            if overlapping:
                best = min(overlapping, key=self.sort_key)
                misses.append(NearestMiss(best, labels.get(best.unit, "")))
        return misses

    def categories_without_detectors(self) -> list[str]:
        """Return the categories of which no unit detects a concept."""
        counts = self.summary.detectors_by_category
        return [name for name in self.categories if not counts.get(name)]


def summarise(
    layer: str,
    categories: Sequence[str],
    units: Sequence[UnitScore],
    unique_per_category: int,
    concepts: int | None,
    images: int | None,
    quantile: float | None = None,
) -> Summary:
    """Count detectors and unique detectors."""
    detectors = [unit for unit in units if unit.detector]
    detected = {(unit.concept, unit.category) for unit in detectors}
    return Summary(
        layer=layer,
        units=len(units),
        detectors=len(detectors),
        unique_detectors=len(detected),
        unique_detectors_by_category=count_by(
            [category for _, category in detected], categories
        ),
        unique_detectors_per_category=unique_per_category,
        detectors_by_category=count_by(
            [unit.category for unit in detectors], categories
        ),
        concepts=concepts,
        images=images,
        dead=sum(unit.state == "dead" for unit in units),
        sparse=sum(unit.state == "sparse" for unit in units),
        quantile=quantile,
    )


def count_by(names: Sequence[str], order: Sequence[str]) -> dict[str, int]:
    """Count how often each name of ``order`` occurs in ``names``, in that order."""
    counts = Counter(names)
    return {name: counts[name] for name in order}
