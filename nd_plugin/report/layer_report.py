"""What reports show of a layer, whether it comes from a run of ours or from a NetDissect CSV file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class UnitScore:
    """One unit and its label; the columns of units.csv."""

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


@dataclass(frozen=True)
class Summary:
    """The counts that the paper compares layers by; ``nd report --json`` prints these."""

    layer: str
    units: int
    detectors: int
    unique_detectors: int
    unique_detectors_by_category: Mapping[str, int]
    unique_detectors_per_category: (
        int  # the authors' plots: distinct best-in-category labels, summed over categories
    )
    detectors_by_category: Mapping[str, int]
    concepts: int | None  # None where the source does not tell
    images: int | None
    dead: int = 0
    sparse: int = 0
    quantile: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, ready for JSON."""
        return asdict(self)


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

    def best(self, category: str, most: int | None = None) -> list[tuple[UnitScore, int]]:
        """The best detector of each concept of a category, and how many units detect that concept; best first."""
        found = [score for score in self.scores if score.detector and score.category == category]
        units = Counter(score.concept for score in found)
        first: dict[str, UnitScore] = {}
        for score in sorted(found, key=lambda score: -score.iou):
            first.setdefault(score.concept, score)
        return [(score, units[concept]) for concept, score in first.items()][:most]


def summarise(
    layer: str,
    categories: Sequence[str],
    units: Sequence[UnitScore],
    unique_per_category: int,
    concepts: int | None,
    images: int | None,
) -> Summary:
    """Count detectors and unique detectors."""
    detectors = [unit for unit in units if unit.detector]
    unique = {(unit.concept, unit.category) for unit in detectors}
    return Summary(
        layer=layer,
        units=len(units),
        detectors=len(detectors),
        unique_detectors=len(unique),
        unique_detectors_by_category=count_by([category for _, category in unique], categories),
        unique_detectors_per_category=unique_per_category,
        detectors_by_category=count_by([unit.category for unit in detectors], categories),
        concepts=concepts,
        images=images,
        dead=sum(unit.state == "dead" for unit in units),
        sparse=sum(unit.state == "sparse" for unit in units),
    )


def count_by(names: Sequence[str], order: Sequence[str]) -> dict[str, int]:
    """How often each name of ``order`` occurs in ``names``, in that order."""
    return {name: sum(other == name for other in names) for name in order}
