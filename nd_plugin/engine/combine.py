"""Thresholds, masks and counts of the whole probe data set, from the states of all its parts.

All state is a sum over images: processes, machines and interrupted runs add up to the same
integers. Every process of a ``group`` has to call the functions that take it, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import add
from typing import TypeVar

import torch

from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.chance.level import count_chance
from nd_plugin.engine.part_run import PartRun
from nd_plugin.engine.passes import count_concepts, observe_again
from nd_plugin.engine.report_data.activation_sample import ActivationSample
from nd_plugin.engine.report_data.collected import LayerTop
from nd_plugin.engine.report_data.taking import take_pictures
from nd_plugin.engine.state import CountState
from nd_plugin.engine.thresholds import (
    UnitThresholds,
    complete_thresholds,
    known_level,
    thresholds,
)
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.errors import NonFiniteActivation, Unreadable
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.lower_bound import CombinedBounds
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.results.top_pictures import TopPictures
from nd_plugin.significance.chance_counts import ChanceCounts

T = TypeVar("T")


SECOND_PASS = "a second forward pass was needed: "


DID_NOT_FIT = (
    SECOND_PASS + "the maps that may exceed a threshold did not fit on disk"
)


BELOW_STORED = SECOND_PASS + "some thresholds are below the stored values"


@dataclass
class CombinedLayer:
    """One layer over the whole probe data set."""

    statistics: UnitStatistics
    geometry: Geometry
    bounds: CombinedBounds
    thresholds: Sequence[UnitThresholds]  # one for each quantile
    sample: ActivationSample
    notes: list[str]
    pictures: TopPictures | None = None

    @property
    def complete(self) -> bool:
        """Whether all thresholds are known."""
        return all(
            bool(at_quantile.is_known.all()) for at_quantile in self.thresholds
        )


@dataclass(frozen=True)
class CombinedState:
    """State of the whole probe data set."""

    layers: Mapping[str, CombinedLayer]
    counted: CountState
    skipped: Sequence[Skipped]
    remarks: Remarks  # on images and annotations
    # by layer and quantile; nothing without permutations
    chance: Mapping[tuple[str, float], ChanceCounts]


def combine(part_runs: Sequence[PartRun], group: SingleProcess) -> CombinedState:
    """Combine the observed parts of this process, and those of the others in the group.

    Selects thresholds, then counts masks; some layers may go through the model again. Raises
    Unreadable without a readable image or annotation, NonFiniteActivation for a threshold of
    -infinity, and RunFailed where a model is needed and missing.
    """
    skipped = _gather_all(
        (item for part_run in part_runs for item in part_run.state.skipped), group
    )
    layers = {
        layer: _combine_layer(part_runs, layer, skipped, group)
        for layer in part_runs[0].layers
    }
    _complete_thresholds(part_runs, layers, group)
    _note_reduced_maps(part_runs, layers, group)
    for name, layer in layers.items():
        _check_finite(name, layer.thresholds)
    tops = _prepare_pictures(part_runs, layers)
    thresholds_by_layer = {name: layer.thresholds for name, layer in layers.items()}
    count_states = [
        count_concepts(part_run, thresholds_by_layer) for part_run in part_runs
    ]
    counted = reduce(add, count_states).total(group)
    if not counted.areas.images.any() and counted.skipped:
        first = counted.skipped[0]
        raise Unreadable(
            f"none of the annotations can be read; {first.image}: {first.reason}"
        )
    chance = count_chance(part_runs, thresholds_by_layer, counted, group)
    for name, notes in chance.notes.items():
        layers[name].notes += notes
    unannotated = {item.image for item in counted.skipped}
    pictures = take_pictures(part_runs, tops, unannotated, group)
    for name, taken in pictures.items():
        layers[name].pictures = taken.pictures
        layers[name].notes += taken.notes
    image_remarks = _gather_all(
        (part_run.state.remarks for part_run in part_runs), group
    )
    return CombinedState(
        layers,
        counted,
        [*skipped, *counted.skipped],
        Remarks.total([*image_remarks, counted.remarks]),
        chance.counts,
    )


def _prepare_pictures(
    part_runs: Sequence[PartRun], layers: Mapping[str, CombinedLayer]
) -> dict[str, LayerTop]:
    """Choose the images that are to have pictures, and prepare to collect their data."""
    picture_count = part_runs[0].feed.settings.pictures
    if not picture_count:
        return {}
    tops = {}
    for name, layer in layers.items():
        top_images = layer.statistics.top.images.numpy()
        values = [at_quantile.values for at_quantile in layer.thresholds]
        tops[name] = LayerTop(
            top_images=top_images[:, :picture_count],
            lowest_peaks=layer.statistics.top.activations[:, :picture_count][:, -1],
            geometry=layer.geometry,
            cells=layer.statistics.cells,
            thresholds=torch.stack(values).amin(0).cpu(),
        )
    report_data = part_runs[0].report_data
    report_data.prepare(tops)
    for part_run in part_runs:
        part_run.report_data = report_data
    return tops


def _gather_all(items: Iterable[T], group: SingleProcess) -> list[T]:
    """Return the items of all processes, in the order of their ranks."""
    return list(chain.from_iterable(group.gather(list(items))))


def _combine_layer(
    part_runs: Sequence[PartRun],
    name: str,
    skipped: Sequence[Skipped],
    group: SingleProcess,
) -> CombinedLayer:
    """Sum a layer's state over all parts, and select thresholds from its stored values.

    Raises Unreadable if no image could be read: ``skipped`` then has all of them.
    """
    # a part without a readable image has no state of the layer
    states = [
        part_run.state.layers[name]
        for part_run in part_runs
        if name in part_run.state.layers
    ]
    statistics = _gather_all((state.statistics.on_cpu() for state in states), group)
    if not statistics:
        first = skipped[0]
        raise Unreadable(
            f"none of the {len(skipped)} images can be read; {first.image}: {first.reason}"
        )
    total_statistics = reduce(add, statistics)
    snapshots = _gather_all((state.bound.snapshot() for state in states), group)
    bounds = CombinedBounds.of(snapshots)
    candidates = [state.candidates for state in states]
    return CombinedLayer(
        statistics=total_statistics,
        geometry=_gather_all((state.geometry for state in states), group)[-1],
        bounds=bounds,
        thresholds=_select(part_runs, candidates, bounds, total_statistics, group),
        sample=reduce(
            add, _gather_all((state.sample.on_cpu() for state in states), group)
        ),
        notes=[] if _maps_fitted(candidates, group) else [DID_NOT_FIT],
    )


def _maps_fitted(candidates: Sequence[Candidates], group: SingleProcess) -> bool:
    """Return whether the maps of ``candidates`` are stored in all processes, not values alone."""
    return all(group.gather(all(stored.has_maps for stored in candidates)))


def _note_reduced_maps(
    part_runs: Sequence[PartRun],
    layers: Mapping[str, CombinedLayer],
    group: SingleProcess,
) -> None:
    """Note layers whose maps were reduced to values during the second pass, for want of disk."""
    for name, layer in layers.items():
        candidates = [
            part_run.state.candidates(name)
            for part_run in part_runs
            if name in part_run.state.layers
        ]
        fitted = _maps_fitted(candidates, group)
        if not fitted and DID_NOT_FIT not in layer.notes:
            layer.notes.append(DID_NOT_FIT)


def _complete_thresholds(
    part_runs: Sequence[PartRun],
    layers: Mapping[str, CombinedLayer],
    group: SingleProcess,
) -> None:
    """Select thresholds that are below the stored values, from a second forward pass."""
    levels = {
        name: known_level(layer.thresholds)
        for name, layer in layers.items()
        if not layer.complete
    }
    if not levels:
        return
    memory = part_runs[0].feed.memory // len(part_runs)
    for part_run in part_runs:
        observe_again(part_run, levels, memory)
    for name, level in levels.items():
        layer = layers[name]
        candidates = [
            part_run.state.second_pass[name]
            for part_run in part_runs
            if name in part_run.state.second_pass
        ]
        bounds = layer.bounds._replace(level=level)
        selected = _select(part_runs, candidates, bounds, layer.statistics, group)
        layer.thresholds = complete_thresholds(layer.thresholds, selected)
        layer.notes.append(BELOW_STORED)


def _select(
    part_runs: Sequence[PartRun],
    candidates: Sequence[Candidates],
    bounds: CombinedBounds,
    statistics: UnitStatistics,
    group: SingleProcess,
) -> Sequence[UnitThresholds]:
    """Select a layer's thresholds from the values above ``bounds``, at each quantile."""
    strategy = part_runs[0].strategy
    return thresholds(
        candidates,
        bounds,
        statistics,
        part_runs[0].feed.settings.all_quantiles,
        group,
        strategy.selection_bytes,
        strategy.device,
    )


def _check_finite(name: str, selected: Sequence[UnitThresholds]) -> None:
    """Raise NonFiniteActivation for a threshold of -infinity, above which no mask is defined."""
    for at_quantile in selected:
        for unit in at_quantile.values.isneginf().nonzero()[:, 0].tolist():
            raise NonFiniteActivation(
                f"layer {name!r}, unit {unit}: no more than {at_quantile.quantile:g} of its "
                "activations are above -infinity, and a threshold of -infinity makes no mask; "
                "look for what makes them -infinity in the layers before"
            )
