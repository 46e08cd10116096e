"""Accuracy against interpretability: probed layers beside their dissections (figures 25 and 26)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nd_plugin.contracts.provenance import Identity
from nd_plugin.errors import BadInput
from nd_plugin.experiments.probing.discrimination import (
    Discrimination,
    LayerAccuracy,
)
from nd_plugin.report.error_bars.records import CountInterval
from nd_plugin.report.error_bars.texts import count_intervals
from nd_plugin.report.terminal import plural
from nd_plugin.results.dissection import Dissection

PAPER_CATEGORY = "object"
ALL = "all"
FEWEST_POINTS = 3  # of a correlation
NAMES_SAID = 6


@dataclass(frozen=True)
class NetworkPoint:
    """One layer of a network: its detectors, and the accuracy of a linear classifier on it."""

    network: str
    layer: str
    detectors: int  # unique, of the category
    detectors_interval: tuple[int, int] | None  # None where the run has no folds
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class NetworkPoints:
    """Layers of networks, the category whose detectors are counted, and layers left out."""

    points: tuple[NetworkPoint, ...]
    category: str
    notes: tuple[str, ...] = ()

    @property
    def pearson(self) -> float | None:
        """Linear correlation of accuracy and detectors; None of fewer than 3 points."""
        return _correlation(
            [point.detectors for point in self.points],
            [point.accuracy for point in self.points],
        )

    @property
    def spearman(self) -> float | None:
        """Correlation of the ranks; None of fewer than 3 points."""
        # which takes a second to import
        from scipy.stats import rankdata

        return _correlation(
            rankdata([point.detectors for point in self.points]).tolist(),
            rankdata([point.accuracy for point in self.points]).tolist(),
        )


def match_networks(
    results: Sequence[Discrimination],
    dissections: Sequence[Dissection],
    category: str = PAPER_CATEGORY,
) -> NetworkPoints:
    """Match probed layers with dissections of the same weights and layer.

    ``category`` is that of the unique detectors to count, or "all". Raises BadInput where nothing
    matches, and for a category that no dissection has.
    """
    check_category(dissections, category)
    points: list[NetworkPoint] = []
    unmatched: list[str] = []
    notes = _notes_of_sets(results, dissections)
    for result in results:
        for layer in result.layers:
            name = f"{result.model.source} {layer.layer}"
            matches = _dissections_of(result.model, layer.layer, dissections)
            if not matches:
                unmatched.append(name)
                continue
            if len(matches) > 1:
                notes.append(
                    f"{name}: the first of {len(matches)} dissections counts"
                )
            points.append(_point(result.model, layer, matches[0], category))
    if not points:
        raise BadInput(_nothing_matches(unmatched, dissections))
    if unmatched:
        notes.append(f"without a dissection, left out: {_listed(unmatched)}")
    return NetworkPoints(tuple(points), category, tuple(notes))


def _dissections_of(
    model: Identity, layer: str, dissections: Sequence[Dissection]
) -> list[Dissection]:
    return [
        dissection
        for dissection in dissections
        if dissection.layer == layer
        and _is_same(model, dissection.provenance.model)
    ]


def _point(
    model: Identity, layer: LayerAccuracy, dissection: Dissection, category: str
) -> NetworkPoint:
    return NetworkPoint(
        network=model.source,
        layer=layer.layer,
        detectors=_count(dissection, category),
        detectors_interval=_count_interval(dissection, category),
        accuracy=layer.accuracy.mean,
        interval=layer.accuracy.interval,
    )


def _is_same(first: Identity, second: Identity) -> bool:
    """Return whether two models are one by their weights, or by their origin without weights."""
    if first.fingerprint or second.fingerprint:
        return first.fingerprint == second.fingerprint
    return first.source == second.source


def _count(dissection: Dissection, category: str) -> int:
    summary = dissection.summary()
    if category == ALL:
        return summary.unique_detectors
    return summary.unique_detectors_by_category.get(category, 0)


def _count_interval(
    dissection: Dissection, category: str
) -> tuple[int, int] | None:
    intervals = count_intervals(dissection.report())
    if intervals is None:
        return None
    interval = intervals.unique_detectors
    if category != ALL:
        interval = intervals.unique_detectors_by_category.get(
            category, CountInterval(0, 0)
        )
    return interval.low, interval.high


def check_category(dissections: Sequence[Dissection], category: str) -> None:
    """Raise BadInput for a category that no dissection has; of no dissection, none is asked."""
    if not dissections:
        return
    categories = dict.fromkeys(
        name for dissection in dissections for name in dissection.categories
    )
    if category != ALL and category not in categories:
        raise BadInput(
            f"no run has the category {category!r}; they have {', '.join(categories)} "
            "(--category), or all"
        )


def _nothing_matches(
    unmatched: Sequence[str], dissections: Sequence[Dissection]
) -> str:
    names = [
        f"{dissection.provenance.model.source} {dissection.layer}"
        for dissection in dissections
    ]
    # a layer stands there once for each of its quantiles
    dissected = list(dict.fromkeys(names))
    return (
        f"no probed layer is dissected: probed are {_listed(unmatched)}; the runs are of "
        f"{_listed(dissected)}; weights and layer have to be the same"
    )


def _notes_of_sets(
    results: Sequence[Discrimination], dissections: Sequence[Dissection]
) -> list[str]:
    """Return warnings where networks were not measured on the same images."""
    notes: list[str] = []
    images = {result.images.fingerprint for result in results}
    if len(images) > 1:
        notes.append(
            "the networks were probed on different images: accuracies do not compare"
        )
    concepts = {item.provenance.concept_set.fingerprint for item in dissections}
    if len(concepts) > 1:
        notes.append(
            "the runs are of different concept sets: their detectors do not compare"
        )
    return notes


def _correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    if len(x) < FEWEST_POINTS:
        return None
    deviations = float(np.std(x) * np.std(y))
    if not deviations or not math.isfinite(deviations):
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _listed(names: Sequence[str]) -> str:
    beyond = len(names) - NAMES_SAID
    more = f" and {beyond} more {plural(beyond, 'layer')}" if beyond > 0 else ""
    return ", ".join(names[:NAMES_SAID]) + more
