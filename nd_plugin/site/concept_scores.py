"""Scores of a layer's units by numbers of concepts, from a run or from a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nd_plugin.report.layer_report import LayerReport, UnitScore

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

LEVEL = 0.01  # IoU above which a page lists a concept of a unit
DIGITS = 4  # of IoU, as in all reports

Match = tuple[int, float]  # concept, IoU


@dataclass(frozen=True)
class ConceptScores:
    """Concepts of a layer, numbered, and what each unit matches."""

    concepts: tuple[tuple[str, str], ...]  # name, category
    labels: tuple[int, ...]  # (unit,) concept
    # (unit,) concepts with an IoU above `LEVEL`, and the label, best first
    matches: tuple[tuple[Match, ...], ...]

    @classmethod
    def of(cls, report: LayerReport) -> ConceptScores:
        """Return the scores of all concepts; of a CSV file, of the best of each category."""
        if report.dissection is not None:
            return cls._of_dissection(report.dissection)
        return cls._of_scores(report)

    @classmethod
    def _of_dissection(cls, dissection: Dissection) -> ConceptScores:
        concepts = [
            (concept.name, concept.category) for concept in dissection.concepts
        ]
        labels = dissection.labels.tolist()
        matches = []
        for unit, label in enumerate(labels):
            iou = dissection.iou[unit]
            above = np.flatnonzero(iou > LEVEL).tolist()
            numbers = sorted({label, *above})
            numbers.sort(key=lambda number: -iou[number])
            matches.append(
                tuple((number, float(iou[number])) for number in numbers)
            )
        return cls(tuple(concepts), tuple(labels), tuple(matches))

    @classmethod
    def _of_scores(cls, report: LayerReport) -> ConceptScores:
        numbers: dict[tuple[str, str], int] = {}
        labels = []
        matches = []
        for index, score in enumerate(report.scores):
            label = numbers.setdefault(_concept(score), len(numbers))
            iou_of = {label: score.iou}
            for best in _best_in_categories(report, index):
                number = numbers.setdefault(_concept(best), len(numbers))
                iou_of.setdefault(number, best.iou)
            labels.append(label)
            matches.append(tuple(sorted(iou_of.items(), key=lambda item: -item[1])))
        return cls(tuple(numbers), tuple(labels), tuple(matches))


def _concept(score: UnitScore) -> tuple[str, str]:
    return score.concept, score.category


def _best_in_categories(report: LayerReport, index: int) -> Iterator[UnitScore]:
    """Yield the best concept of each category that is worth a line."""
    for scores in report.category_scores.values():
        score = scores[index]
        if score.overlaps and score.iou > LEVEL:
            yield score
