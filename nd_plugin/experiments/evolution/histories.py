"""Units of a layer over the stages of a training: labels, concepts kept, concepts changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from nd_plugin.errors import BadInput
from nd_plugin.experiments.detector_changes import (
    GAINED,
    LOST,
    RENAMED,
    UnitChange,
    UnitLabel,
    compare_units,
)
from nd_plugin.experiments.evolution.change_kinds import (
    change_kind,
    profile_similarity,
)
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.results.dissection import Dissection

History = tuple[UnitLabel, ...]  # of one unit, a label for each stage


@dataclass(frozen=True)
class ConceptChange:
    """Unit that detects one concept at a stage and another at a later one."""

    unit: int
    before: UnitLabel
    after: UnitLabel
    kind: str  # what both have in common, see `change_kinds`
    similarity: float  # cosine of the unit's IoUs with all concepts


@dataclass(frozen=True)
class Transition:
    """Detectors between two stages: kept, changed, lost and gained."""

    stages: tuple[int, int]  # indices of the stages
    kept: tuple[int, ...]  # units: detectors of the same concept at both
    changed: tuple[ConceptChange, ...]  # detectors of different concepts
    lost: tuple[int, ...]  # detectors at the first only
    gained: tuple[int, ...]  # detectors at the second only

    @property
    def of_both(self) -> int:
        """Number of units that are detectors at both stages."""
        return len(self.kept) + len(self.changed)

    @property
    def share_kept(self) -> float | None:
        """Share of units that kept their concept, among detectors of both stages; None of none."""
        return len(self.kept) / self.of_both if self.of_both else None

    @property
    def kinds(self) -> dict[str, int]:
        """Number of changes of each kind, the most frequent first."""
        counts = Counter(change.kind for change in self.changed)
        return dict(counts.most_common())


@dataclass(frozen=True)
class LayerEvolution:
    """One layer at several stages of a training, in their order.

    Raises BadInput where stages differ in units or concepts.
    """

    dissections: tuple[Dissection, ...]

    def __post_init__(self) -> None:
        """Check that the dissections are of one layer, with the same concepts."""
        if not self.dissections:
            raise BadInput("no stage: an evolution needs one dissection or more")
        first = self.dissections[0]
        for number, dissection in enumerate(self.dissections[1:], start=2):
            for subject in ("units", "concepts", "categories"):
                values = getattr(first, subject), getattr(dissection, subject)
                if values[0] != values[1]:
                    raise BadInput(_difference(self.layer, number, subject, values))

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.dissections[0].layer

    @property
    def units(self) -> int:
        """Number of units."""
        return self.dissections[0].units

    @cached_property
    def reports(self) -> tuple[LayerReport, ...]:
        """Report of each stage."""
        return tuple(dissection.report() for dissection in self.dissections)

    @cached_property
    def histories(self) -> tuple[History, ...]:
        """Labels of every unit at all stages; (unit,)."""
        by_stage = [report.scores for report in self.reports]
        return tuple(map(_history, zip(*by_stage, strict=True)))

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """Transitions between neighbouring stages."""
        numbers = pairwise(range(len(self.dissections)))
        return tuple(self.transition(*stages) for stages in numbers)

    @cached_property
    def overall(self) -> Transition:
        """Transition from the first stage to the last, the paper's before and after fine-tuning."""
        return self.transition(0, len(self.dissections) - 1)

    def transition(self, first: int, last: int) -> Transition:
        """Return what became of the detectors of a stage at a later one."""
        before = self.dissections[first]
        after = self.dissections[last]
        kept, changes = compare_units(after, before)
        return Transition(
            stages=(first, last),
            kept=kept,
            changed=tuple(
                _concept_change(before, after, change)
                for change in changes
                if change.change == RENAMED
            ),
            lost=_units_of(changes, LOST),
            gained=_units_of(changes, GAINED),
        )

    @cached_property
    def always_kept(self) -> tuple[int, ...]:
        """Units that are detectors of the same concept at every stage."""
        return tuple(
            unit
            for unit, history in enumerate(self.histories)
            if _is_constant(history)
        )


def _difference(
    layer: str, number: int, subject: str, values: tuple[object, object]
) -> str:
    detail = "they are not of one concept set"
    if isinstance(values[0], int):
        detail = f"{values[0]} and {values[1]}"
    return (
        f"layer {layer!r}: {subject} differ between stage 1 and stage {number} ({detail}); "
        "an evolution is that of one layer on one concept set"
    )


def _history(scores: Sequence[UnitScore]) -> History:
    return tuple(map(UnitLabel.of, scores))


def _is_constant(history: History) -> bool:
    concepts = {(label.concept, label.category) for label in history}
    return len(concepts) == 1 and all(label.detector for label in history)


def _concept_change(
    before: Dissection, after: Dissection, change: UnitChange
) -> ConceptChange:
    old, new = change.origin, change.model
    categories = (old.category, new.category)
    return ConceptChange(
        unit=change.unit,
        before=old,
        after=new,
        kind=change_kind(before, after, change.unit, categories),
        similarity=profile_similarity(before, after, change.unit),
    )


def _units_of(changes: Sequence[UnitChange], kind: str) -> tuple[int, ...]:
    return tuple(change.unit for change in changes if change.change == kind)
