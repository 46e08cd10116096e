"""Concepts of a comparison: the units of each layer that detect a concept, or come nearest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

import numpy as np

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.results.dissection import Dissection

ConceptKey = tuple[str, str]  # category and name

NOT_IN_THE_SET = "not in its concept set"
OTHER_CATEGORY = "of category {} in its concept set"
NO_PIXEL = "labels no pixel of its images"
NO_OVERLAP = "no unit overlaps it"
# a file has each unit's best concept of each category, and no list of all concepts
NOT_IN_THE_FILE = "no unit's best concept of its category"
# of sources that have no units with IoU
COUNTS_ALONE = "counts without units"
LABELS_ALONE = "labels without IoU"


@dataclass(frozen=True)
class UnitMatch:
    """Unit and its IoU with a concept."""

    unit: int  # 0-based
    iou: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"unit": self.unit, "iou": self.iou}


@dataclass(frozen=True)
class ConceptMatch:
    """One concept in one layer."""

    detectors: tuple[UnitMatch, ...]  # units that detect it, best first
    # without detectors: the unit with the highest IoU; None where none overlaps it
    nearest: UnitMatch | None = None
    reason: str = ""  # why neither is there
    # whether the layer's concept set and images have it; True where a file does not tell
    was_sought: bool = True
    # False where the source has no units with IoU, and cannot have or lack a concept
    is_known: bool = True

    @property
    def best(self) -> UnitMatch | None:
        """Unit that matches the concept best, a detector if there is any."""
        return self.detectors[0] if self.detectors else self.nearest

    @property
    def mean_iou(self) -> float | None:
        """Mean IoU of the units that detect it; None without any."""
        ious = [match.iou for match in self.detectors]
        return float(np.mean(ious)) if ious else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        nearest = self.nearest
        return {
            "detectors": [match.to_dict() for match in self.detectors],
            "mean_iou": self.mean_iou,
            "nearest": None if nearest is None else nearest.to_dict(),
            "reason": self.reason or None,
            "was_sought": self.was_sought,
            "is_known": self.is_known,
        }


@dataclass(frozen=True)
class ComparedConcept:
    """Concept that a unit of at least one layer detects."""

    category: str
    concept: str
    matches: tuple[ConceptMatch, ...]  # of each layer

    @property
    def key(self) -> ConceptKey:
        """Category and name, which are the same in all layers."""
        return self.category, self.concept

    @property
    def units(self) -> int:
        """Number of units that detect it, of all layers."""
        return sum(len(match.detectors) for match in self.matches)

    @property
    def best_iou(self) -> float:
        """Highest IoU of a detector, of all layers."""
        ious = [match.detectors[0].iou for match in self.matches if match.detectors]
        return max(ious, default=0.0)

    @property
    def highest_iou(self) -> float:
        """Highest IoU of all units, detectors of it or not."""
        best_units = [match.best for match in self.matches]
        return max((unit.iou for unit in best_units if unit), default=0.0)

    @property
    def detecting_layers(self) -> tuple[int, ...]:
        """Layers with a detector, as indices."""
        return tuple(
            index for index, match in enumerate(self.matches) if match.detectors
        )

    @property
    def was_sought_everywhere(self) -> bool:
        """Whether no layer is known to lack it in its concept set or images."""
        return all(match.was_sought for match in self.matches)

    @property
    def is_shared(self) -> bool:
        """Whether every layer whose units are known has a detector of it."""
        known = [match for match in self.matches if match.is_known]
        return len(self.detecting_layers) == len(known)


def compared_concepts(
    layers: Sequence[ComparedLayer], categories: Sequence[str]
) -> tuple[ComparedConcept, ...]:
    """Return every concept that some unit detects: by category, the highest IoU first.

    Concepts are the same where category and name are.
    """
    views = [_view(layer) for layer in layers]
    keys: dict[ConceptKey, None] = {}
    for view in views:
        keys.update(dict.fromkeys(view.detectors))
    concepts = _matched(views, keys)

    def rank(concept: ComparedConcept) -> tuple[int, float, str]:
        category = categories.index(concept.category)
        return category, -concept.best_iou, concept.concept

    return tuple(sorted(concepts, key=rank))


def match_concepts(
    layers: Sequence[ComparedLayer], keys: Sequence[ConceptKey]
) -> list[ComparedConcept]:
    """Return concepts with the units of each layer that match them, detected or not."""
    return _matched([_view(layer) for layer in layers], keys)


def _matched(
    views: Sequence[_View], keys: Iterable[ConceptKey]
) -> list[ComparedConcept]:
    return [
        ComparedConcept(*key, tuple(view.match(key) for view in views))
        for key in keys
    ]


def known_concepts(layers: Sequence[ComparedLayer]) -> list[ConceptKey]:
    """Return every concept that some layer with units can tell of, in the order of the layers."""
    keys: dict[ConceptKey, None] = {}
    for layer in layers:
        if layer.dissection is not None:
            concepts = layer.dissection.concepts
            names = [(concept.category, concept.name) for concept in concepts]
        else:
            scores = chain.from_iterable(layer.report.category_scores.values())
            names = [
                (score.category, score.concept)
                for score in scores
                if score.overlaps
            ]
        keys.update(dict.fromkeys(names))
    return list(keys)


class _View(Protocol):
    """Layer as far as concepts are compared."""

    detectors: dict[ConceptKey, list[UnitMatch]]

    def match(self, key: ConceptKey) -> ConceptMatch:
        """Return what the layer tells of a concept."""


class _UnknownView:
    """Layer of a source without units that have an IoU."""

    def __init__(self, reason: str) -> None:
        self.detectors: dict[ConceptKey, list[UnitMatch]] = {}
        self._reason = reason

    def match(self, key: ConceptKey) -> ConceptMatch:
        """Return the reason why the layer tells nothing of any concept."""
        return ConceptMatch((), reason=self._reason, is_known=False)


class _LayerView(ABC):
    """Units of a layer by the concept that they detect."""

    def __init__(self, report: LayerReport) -> None:
        self.detectors: dict[ConceptKey, list[UnitMatch]] = {}
        detectors = [score for score in report.scores if score.detector]
        for score in sorted(detectors, key=report.sort_key):
            match = UnitMatch(score.unit, score.iou)
            key = (score.category, score.concept)
            self.detectors.setdefault(key, []).append(match)

    def match(self, key: ConceptKey) -> ConceptMatch:
        """Return a concept's detectors, else the unit that comes nearest, else a reason."""
        if key in self.detectors:
            return ConceptMatch(tuple(self.detectors[key]))
        return self._nearest(key)

    @abstractmethod
    def _nearest(self, key: ConceptKey) -> ConceptMatch:
        """Return the unit that comes nearest to a concept that none detects."""


class _DissectionView(_LayerView):
    """Layer of a run, which records the IoU of every unit with every concept."""

    def __init__(self, report: LayerReport, dissection: Dissection) -> None:
        super().__init__(report)
        self._dissection = dissection

    @cached_property
    def _concept_numbers(self) -> dict[ConceptKey, int]:
        concepts = enumerate(self._dissection.concepts)
        return {
            (concept.category, concept.name): index for index, concept in concepts
        }

    def _nearest(self, key: ConceptKey) -> ConceptMatch:
        concept = self._concept_numbers.get(key)
        if concept is None:
            reason = self._reason_of_absence(key)
            return ConceptMatch((), reason=reason, was_sought=False)
        if not self._dissection.concept_area[concept]:
            return ConceptMatch((), reason=NO_PIXEL, was_sought=False)
        ious = self._dissection.iou[:, concept]
        if not (ious > 0).any():
            return ConceptMatch((), reason=NO_OVERLAP)
        scores = self._dissection.label_scores[:, concept]
        unit = int(np.argmax(scores))
        return ConceptMatch((), UnitMatch(unit, float(ious[unit])))

    def _reason_of_absence(self, key: ConceptKey) -> str:
        """Return that the set lacks a concept, or has its name in another category."""
        for category, name in self._concept_numbers:
            if name == key[1]:
                return OTHER_CATEGORY.format(category)
        return NOT_IN_THE_SET


class _FileView(_LayerView):
    """Layer of a CSV file, which records of each unit the best concept of each category."""

    def __init__(self, report: LayerReport) -> None:
        super().__init__(report)
        self._report = report

    @cached_property
    def _best_scores(self) -> dict[ConceptKey, UnitScore]:
        """Return the best unit of each concept that the file names and a unit overlaps."""
        best: dict[ConceptKey, UnitScore] = {}
        for category, scores in self._report.category_scores.items():
            for score in filter(lambda score: score.overlaps, scores):
                key = (category, score.concept)
                if key not in best or score.iou > best[key].iou:
                    best[key] = score
        return best

    def _nearest(self, key: ConceptKey) -> ConceptMatch:
        score = self._best_scores.get(key)
        if score is None:
            return ConceptMatch((), reason=NOT_IN_THE_FILE)
        return ConceptMatch((), UnitMatch(score.unit, score.iou))


def _view(layer: ComparedLayer) -> _View:
    if not layer.has_units:
        is_counted = layer.has_detectors
        return _UnknownView(COUNTS_ALONE if is_counted else LABELS_ALONE)
    if layer.dissection is None:
        return _FileView(layer.report)
    return _DissectionView(layer.report, layer.dissection)
