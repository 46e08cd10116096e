"""Scores of a layer's units with concepts, and the labels and detectors that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, Unavailable
from nd_plugin.method.iou import (
    SCORES,
    PairCounts,
    best_in_category,
    count_unique_per_category,
    labels,
)
from nd_plugin.report.layer_report import SCORE_NAMES, UnitScore

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# below all scores: a pair without a common pixel is no match, whatever its correlation
NO_MATCH = -2.0


class ScoredLayer:
    """Layer whose units are labelled by the score that ``label_score`` names, IoU by default."""

    layer: str
    categories: tuple[str, ...]
    concepts: tuple[Concept, ...]
    thresholds: Floats
    intersection: Integers
    unit_area: Integers
    concept_area: Integers
    category_pixels: Integers | None
    dead: Booleans
    sparse: Booleans
    settings: Settings
    label_score: str
    min_score: float | None
    original: Dissection | None

    @cached_property
    def category_of(self) -> Integers:
        """Category of every concept, as an index; (concept,)."""
        indices = [
            self.categories.index(concept.category) for concept in self.concepts
        ]
        return np.array(indices, dtype=np.int64)

    @cached_property
    def iou(self) -> Floats:
        """IoU(k, c), equation 1 of the paper; (unit, concept)."""
        return self.scores("iou")

    def scores(self, by: str = "iou") -> Floats:
        """Compute a score of every unit with every concept; (unit, concept).

        Args:
            by: ``iou``, ``f1``, ``precision`` (share of the unit's mask that carries the concept),
                ``recall`` (share of the concept that the mask covers) or ``correlation`` (of mask
                and annotation over the pixels of the images with the concept's category; phi).

        Raises:
            BadInput: Another name.
            Unavailable: The correlation of a run of an earlier version, which has not counted
                these pixels.
        """
        self._check_score(by)
        category_of = self.category_of
        pixels = self.category_pixels
        counts = PairCounts(
            self.intersection,
            self.unit_area[:, category_of],
            self.concept_area,
            None if pixels is None else pixels[category_of],
        )
        return SCORES[by](counts)

    def _check_score(self, by: str) -> None:
        if by not in SCORES:
            raise BadInput(f"no score {by!r}; known are {', '.join(SCORES)}")
        if by == "correlation" and self.category_pixels is None:
            raise Unavailable(
                f"layer {self.layer!r} has no correlation: the run is of an earlier nd_plugin, "
                "which has not counted the pixels of each category's images; dissect again, or "
                "choose iou, f1, precision or recall"
            )

    def labelled_by(self, by: str, min_score: float | None = None) -> Dissection:
        """Return the same result with units labelled and ordered by another score.

        A detector is still a unit whose label has an IoU above ``min_iou``, unless ``min_score``
        is given: then the score of its label must be above that. Intervals and p-values are of
        labels by IoU, and left out. What `save` writes is not changed.

        Raises:
            BadInput: A name that no score has, or ``min_score`` outside [-1, 1).
            Unavailable: See `scores`.
        """
        self._check_score(by)
        if min_score is not None and not -1 <= min_score < 1:
            raise BadInput(f"min_score {min_score} is not between -1 and 1")
        dissection = self.original or cast("Dissection", self)
        if by == "iou" and min_score is None:
            return dissection
        # folds and permutations tell how sure labels by IoU are, and no others
        return replace(
            dissection,
            label_score=by,
            min_score=min_score,
            original=dissection,
            folds=None,
            chance=None,
        )

    @cached_property
    def label_scores(self) -> Floats:
        """Score by which units are labelled, below all others without overlap; (unit, concept)."""
        if self.label_score == "iou":
            # 0 without overlap, below all others
            return self.iou
        overlaps = self.intersection > 0
        return np.where(overlaps, self.scores(self.label_score), NO_MATCH)

    @cached_property
    def labels(self) -> Integers:
        """Best concept of each unit, as an index into ``concepts``; (unit,)."""
        return labels(self.label_scores)

    def unit_scores(self) -> Iterator[UnitScore]:
        """Yield every unit with its label, in the order of the units."""
        yield from self.pair_scores(range(len(self.thresholds)), self.labels)

    def unit_score(self, unit: int, concept: int) -> UnitScore:
        """Return the match of a unit and a concept, given by its index."""
        (score,) = self.pair_scores([unit], np.array([concept]))
        return score

    def pair_scores(
        self, units: Sequence[int], concepts: Integers
    ) -> list[UnitScore]:
        """Return the matches of units with one concept each, given by its index; (pair,)."""
        counts = self._counts(np.asarray(units, dtype=np.int64), concepts)
        columns = {"intersection": counts.intersection.tolist()}
        columns["unit_area"] = counts.unit_area.tolist()
        columns["concept_area"] = counts.concept_area.tolist()
        for name in SCORE_NAMES:
            is_known = name != "correlation" or counts.pixels is not None
            values: list[Any] = [None] * len(units)
            columns[name] = SCORES[name](counts).tolist() if is_known else values
        pairs = zip(units, concepts.tolist(), strict=True)
        return [
            self._unit_score(
                unit,
                concept,
                {name: column[row] for name, column in columns.items()},
            )
            for row, (unit, concept) in enumerate(pairs)
        ]

    def _counts(self, units: Integers, concepts: Integers) -> PairCounts:
        """Return the counts of pairs of a unit and a concept; (pair,)."""
        categories = self.category_of[concepts]
        pixels = self.category_pixels
        return PairCounts(
            self.intersection[units, concepts],
            self.unit_area[units, categories],
            self.concept_area[concepts],
            None if pixels is None else pixels[categories],
        )

    def _unit_score(
        self, unit: int, concept: int, values: dict[str, Any]
    ) -> UnitScore:
        return UnitScore(
            unit=unit,
            concept=self.concepts[concept].name,
            category=self.concepts[concept].category,
            threshold=float(self.thresholds[unit]),
            detector=self._is_detector(values),
            state=self._state(unit),
            **values,
        )

    def _is_detector(self, values: dict[str, Any]) -> bool:
        """Return whether a unit's match with these scores makes it a detector."""
        if self.min_score is None:
            return bool(values["iou"] > self.settings.min_iou)
        return bool(
            values["intersection"] and values[self.label_score] > self.min_score
        )

    def _state(self, unit: int) -> str:
        if self.dead[unit]:
            return "dead"
        return "sparse" if self.sparse[unit] else "live"

    def detectors(self) -> list[UnitScore]:
        """Return the detectors, best first."""
        detectors = [score for score in self.unit_scores() if score.detector]
        return sorted(detectors, key=lambda score: -score.value(self.label_score))

    def _category_scores(self) -> dict[str, tuple[UnitScore, ...]]:
        """Return every unit with its best concept of each category, by category."""
        best, _ = best_in_category(
            self.label_scores, self.category_of, len(self.categories)
        )
        units = range(len(best))
        return {
            self.categories[category]: tuple(
                self.pair_scores(units, best[:, category])
            )
            for category in np.unique(self.category_of).tolist()
        }

    def _unique_per_category(self) -> list[int]:
        """Count the distinct best labels of detectors in each category."""
        best, scores = best_in_category(
            self.label_scores, self.category_of, len(self.categories)
        )
        if self.min_score is not None:
            return count_unique_per_category(best, scores, self.min_score)
        iou = np.take_along_axis(self.iou, best.clip(min=0), axis=1)
        has_concepts = best >= 0
        return count_unique_per_category(
            best, np.where(has_concepts, iou, 0.0), self.settings.min_iou
        )

    @property
    def label_note(self) -> str:
        """Note on the score that labels units; "" for IoU."""
        if self.original is None:
            return ""
        detector = f"a detector is still a unit whose label has IoU > {self.settings.min_iou:g}"
        if self.min_score is not None:
            limit = f"{self.label_score} > {self.min_score:g}"
            detector = f"a detector is a unit whose label has {limit}"
        note = f"units are labelled and ordered by {self.label_score}; {detector}"
        if self.original.folds is not None or self.original.chance is not None:
            note += (
                "; intervals and p-values, which are of labels by IoU, are left out"
            )
        return note
