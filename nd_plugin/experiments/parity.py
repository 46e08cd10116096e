"""Parity of two models, such as an export and its origin: layer by layer, the same network inside.

One pass over the images feeds both models. Activations are compared batch by batch, both models
are dissected, and their detectors are compared unit by unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.models import Model
from nd_plugin.contracts.precision import computed_precision
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.engine.run import run
from nd_plugin.experiments.detector_changes import (
    GAINED,
    LOST,
    RENAMED,
    DetectorCounts,
    UnitChange,
    compare_units,
    count_changes,
    total,
)
from nd_plugin.experiments.layer_matching import BY_NAME, BY_REQUEST, LayerMatch
from nd_plugin.experiments.model_pair import (
    FIRST,
    MODEL_NOTE,
    ORIGIN_NOTE,
    SECOND,
    Differences,
    Names,
    Pair,
    notes_of_both,
    notes_of_one,
)
from nd_plugin.experiments.pair_preprocess import PairPreprocess
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.dissection import Dissection

LAYERS_NAMED = 3  # in one note


@dataclass(frozen=True)
class LayerParity:
    """Differences between one layer of two models."""

    layers: Names
    matched: str  # "name" | "order and shape" | "request"
    units: int
    kept: tuple[int, ...]  # units that detect the same concept in both models
    changes: tuple[UnitChange, ...]  # detectors lost, gained and renamed
    # largest |activation of the first - activation of the second|
    difference: float
    largest: float  # largest |activation of the second|
    threshold_difference: float  # largest |T_k of the first - T_k of the second|
    iou_difference: float  # largest difference of an IoU of a unit and a concept
    labels: tuple[int, ...]  # units whose label differs
    geometry: bool  # whether the receptive fields' centres are the same
    notes: tuple[str, ...] = ()

    @property
    def relative(self) -> float:
        """Largest difference between activations, relative to the largest activation."""
        return self.difference / self.largest if self.largest else self.difference

    @property
    def counted(self) -> DetectorCounts:
        """Counts of detectors kept, lost, gained and renamed."""
        return count_changes(self.kept, self.changes)

    @property
    def counts(self) -> tuple[int, int]:
        """Detectors of the first model and of the second."""
        return self.counted.model, self.counted.origin

    @property
    def detectors(self) -> tuple[int, ...]:
        """Units that are a detector in one model only."""
        return self._changed(LOST, GAINED)

    @property
    def detector_labels(self) -> tuple[int, ...]:
        """Units that are a detector in either model, and whose label differs."""
        changed = self._changed(LOST, GAINED, RENAMED)
        return tuple(unit for unit in changed if unit in self.labels)

    def _changed(self, *kinds: str) -> tuple[int, ...]:
        return tuple(unit.unit for unit in self.changes if unit.change in kinds)


@dataclass(frozen=True)
class Side:
    """One of the two models: what was run, and how its images were prepared."""

    source: str
    backend: str
    device: str
    precision: str  # of the weights; "" where the backend does not say
    preprocess: Preprocess
    compute_precision: str = ""  # of the arithmetic; likewise

    @classmethod
    def of(cls, model: Model, preprocess: Preprocess) -> Side:
        """Describe an opened model that gets images of a preprocessing."""
        return cls(
            source=model.identity.source,
            backend=model.backend,
            device=str(model.device),
            precision=getattr(model, "precision", ""),
            preprocess=preprocess,
            compute_precision=computed_precision(model),
        )


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison: both models, their layers, and both dissections."""

    model: Side
    origin: Side
    layers: tuple[LayerParity, ...]
    notes: tuple[str, ...]
    # of each layer, as if of each model alone
    model_dissections: tuple[Dissection, ...]
    origin_dissections: tuple[Dissection, ...]

    @property
    def counted(self) -> DetectorCounts:
        """Counts of detectors kept, lost, gained and renamed in all layers."""
        return total(layer.counted for layer in self.layers)


def parity(
    first: Model,
    second: Model,
    layers: Sequence[Names | LayerMatch],
    feed: Feed,
    progress: Progress = silent,
    notes: Sequence[str] = (),
) -> Comparison:
    """Compare layers of two models on the images of ``feed``.

    ``layers`` are pairs of names, in the first model and in the second. If the preprocessing of
    ``feed`` is a `PairPreprocess`, each model gets its own images, else both get the feed's.
    ``notes`` are put before those of the run.

    Raises BadInput where the maps of a pair are of different shapes, and what
    `nd_plugin.engine.run.run` raises.
    """
    pair = Pair(first, second, feed.preprocess)
    matches = [_as_match(layer) for layer in layers]
    names = [match.names for match in matches]
    dissections = run(pair, names, feed, progress)
    first_preprocess = second_preprocess = feed.preprocess
    if isinstance(feed.preprocess, PairPreprocess):
        first_preprocess = feed.preprocess.first
        second_preprocess = feed.preprocess.second
    first_side = Side.of(first, first_preprocess)
    second_side = Side.of(second, second_preprocess)
    firsts = dissections[::2]
    seconds = dissections[1::2]
    compared = zip(matches, firsts, seconds, strict=True)
    parities = [_compare(*layer, pair.differences) for layer in compared]
    on_images = getattr(feed.preprocess, "notes", ())
    all_notes = [*on_images, *notes, *_notes_of_layers(parities)]
    return Comparison(
        model=first_side,
        origin=second_side,
        layers=tuple(parities),
        notes=tuple(dict.fromkeys(all_notes)),
        model_dissections=tuple(_alone(firsts, FIRST, first, first_preprocess)),
        origin_dissections=tuple(
            _alone(seconds, SECOND, second, second_preprocess)
        ),
    )


def _as_match(layer: Names | LayerMatch) -> LayerMatch:
    if isinstance(layer, LayerMatch):
        return layer
    first_name, second_name = layer
    by = BY_NAME if first_name == second_name else BY_REQUEST
    return LayerMatch(first_name, second_name, by)


def _alone(
    dissections: Sequence[Dissection],
    prefix: str,
    model: Model,
    preprocess: Preprocess,
) -> Iterator[Dissection]:
    """Yield the dissections of one of the two models as if it had been run alone."""
    own, other = MODEL_NOTE, ORIGIN_NOTE
    if prefix == SECOND:
        own, other = other, own
    for dissection in dissections:
        provenance = replace(
            dissection.provenance,
            model=model.identity,
            backend=model.backend,
            device=str(model.device),
            precision=computed_precision(model),
            preprocess=preprocess.describe(),
            notes=notes_of_one(dissection.provenance.notes, own, other),
        )
        layer = dissection.layer.removeprefix(prefix)
        yield replace(dissection, layer=layer, provenance=provenance)


def _compare(
    match: LayerMatch,
    first: Dissection,
    second: Dissection,
    differences: Differences,
) -> LayerParity:
    names = (first.layer.removeprefix(FIRST), second.layer.removeprefix(SECOND))
    kept, changes = compare_units(first, second)
    return LayerParity(
        layers=names,
        matched=match.by,
        units=first.units,
        kept=kept,
        changes=changes,
        difference=differences.largest_difference[names],
        largest=differences.largest_activation[names],
        threshold_difference=_largest_difference(
            first.thresholds, second.thresholds
        ),
        iou_difference=_largest_difference(first.iou, second.iou),
        labels=_indices(first.labels != second.labels),
        geometry=_places(first) == _places(second),
        notes=notes_of_both(first.report().notes, second.report().notes),
    )


def _notes_of_layers(layers: Sequence[LayerParity]) -> Iterator[str]:
    """Yield each note once, with its layers where it is not of all."""
    layers_of: dict[str, list[str]] = {}
    for layer in layers:
        for note in layer.notes:
            layers_of.setdefault(note, []).append(layer.layers[0])
    for note, names in layers_of.items():
        if len(names) == len(layers):
            yield note
            continue
        listing = ", ".join(names[:LAYERS_NAMED])
        beyond = len(names) - LAYERS_NAMED
        tail = f" and {beyond} more" if beyond > 0 else ""
        yield f"{note} (in {listing}{tail})"


def _places(dissection: Dissection) -> list[Any]:
    """Return where a layer's cells lie: what decides the places of its masks."""
    geometry = dissection.provenance.geometry
    axes: list[Mapping[str, float]] = [geometry["rows"], geometry["columns"]]
    centres = [(axis["offset"], axis["stride"]) for axis in axes]
    return [geometry["anchored"], *centres]


def _largest_difference(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> float:
    return float(np.abs(first - second).max(initial=0))


def _indices(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())
