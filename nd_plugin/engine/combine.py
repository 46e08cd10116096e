"""Thresholds, masks and counts of the whole probe data set, from the states of all its parts.

All state is a sum over images: processes, machines and interrupted runs add up to the same
integers. Every process of a ``group`` has to call the functions that take it, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from operator import add
from typing import TypeVar

from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.counting_pass import ThresholdsByLayer, count_concepts
from nd_plugin.engine.forward_pass import PartRun, observe_again
from nd_plugin.engine.state import CountState, LayerState
from nd_plugin.engine.thresholds import UnitThresholds, completed, sure_level, thresholds
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.errors import NonFiniteActivation, Unreadable
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.lower_bound import CombinedBounds
from nd_plugin.receptive_fields.geometry import Geometry

T = TypeVar("T")


SECOND_PASS = "a second forward pass was needed: "


DID_NOT_FIT = SECOND_PASS + "the maps that may exceed a threshold did not fit on disk"


BELOW_STORED = SECOND_PASS + "some thresholds are below the stored values"


@dataclass(frozen=True)
class CombinedState:
    """State of the whole probe data set."""

    statistics: Mapping[str, UnitStatistics]  # by layer
    thresholds: ThresholdsByLayer
    counted: CountState
    skipped: Sequence[Skipped]
    notes: Mapping[str, Sequence[str]]  # by layer
    geometries: Mapping[str, Geometry]  # by layer


def combine(parts: Sequence[PartRun], group: SingleProcess) -> CombinedState:
    """Combine the observed parts of this process, and those of the others in the group.

    Selects thresholds, then counts masks; some layers may go through the model again. Raises
    Unreadable without a readable image or annotation, NonFiniteActivation for a threshold of
    -infinity, and RunFailed where a model is needed and missing.
    """
    skipped = _gather_all((item for part in parts for item in part.state.skipped), group)
    statistics = {
        layer: _combined_statistics(parts, layer, skipped, group) for layer in parts[0].layers
    }
    selected, notes = _select_thresholds(parts, statistics, group)
    count_states = [count_concepts(part, selected) for part in parts]
    counted = _sum_over_group(reduce(add, count_states), group)
    if not counted.areas.images.any() and counted.skipped:
        first = counted.skipped[0]
        raise Unreadable(f"none of the annotations can be read; {first.image}: {first.reason}")
    return CombinedState(
        statistics=statistics,
        thresholds=selected,
        counted=counted,
        skipped=[*skipped, *counted.skipped],
        notes=notes,
        geometries=_geometries(parts, group),
    )


def _gather_all(items: Iterable[T], group: SingleProcess) -> list[T]:
    """Return the items of all processes, in the order of their ranks."""
    return list(chain.from_iterable(group.gather(list(items))))


def _states(parts: Sequence[PartRun], layer: str) -> list[LayerState]:
    """Return the layer's states; a part without a readable image has none."""
    return [part.state.layers[layer] for part in parts if layer in part.state.layers]


def _combined_statistics(
    parts: Sequence[PartRun], layer: str, skipped: Sequence[Skipped], group: SingleProcess
) -> UnitStatistics:
    """Sum a layer's statistics over all parts. Raises Unreadable if no image could be read."""
    statistics = [layer_state.observation.on_cpu() for layer_state in _states(parts, layer)]
    statistics_of_group = _gather_all(statistics, group)
    if not statistics_of_group:
        first = skipped[0]
        raise Unreadable(
            f"none of the {len(skipped)} images can be read; {first.image}: {first.reason}"
        )
    return reduce(add, statistics_of_group)


def _combined_bounds(parts: Sequence[PartRun], layer: str, group: SingleProcess) -> CombinedBounds:
    snapshots = [layer_state.bound.snapshot() for layer_state in _states(parts, layer)]
    return CombinedBounds.of(_gather_all(snapshots, group))


def _geometries(parts: Sequence[PartRun], group: SingleProcess) -> dict[str, Geometry]:
    geometries: dict[str, Geometry] = {}
    for part in parts:
        for layer, layer_state in part.state.layers.items():
            geometries[layer] = layer_state.geometry
    return dict(_gather_all(geometries.items(), group))


def _select_thresholds(
    parts: Sequence[PartRun], statistics: Mapping[str, UnitStatistics], group: SingleProcess
) -> tuple[dict[str, Sequence[UnitThresholds]], dict[str, list[str]]]:
    """Select the thresholds of all layers; also returns notes for their provenance.

    Thresholds below the stored values are selected from a second forward pass.
    """
    bounds: dict[str, CombinedBounds] = {}
    selected: dict[str, Sequence[UnitThresholds]] = {}
    notes: dict[str, list[str]] = {}
    for layer in statistics:
        candidates = [layer_state.candidates for layer_state in _states(parts, layer)]
        bounds[layer] = _combined_bounds(parts, layer, group)
        selected[layer] = _select(parts, candidates, bounds[layer], statistics[layer], group)
        notes[layer] = [] if _all_fitted(candidates, group) else [DID_NOT_FIT]
    incomplete = [layer for layer in statistics if not _all_known(selected[layer])]
    levels = {layer: sure_level(selected[layer]) for layer in incomplete}
    if incomplete:
        for part in parts:
            observe_again(part, levels)
    for layer in incomplete:
        candidates = [part.state.again[layer] for part in parts if layer in part.state.again]
        sure_bounds = bounds[layer]._replace(level=levels[layer])
        second_pass = _select(parts, candidates, sure_bounds, statistics[layer], group)
        selected[layer] = completed(selected[layer], second_pass)
        notes[layer].append(BELOW_STORED)
    for layer in statistics:
        _check_finite(layer, selected[layer])
    return selected, notes


def _select(
    parts: Sequence[PartRun],
    candidates: Sequence[Candidates],
    bounds: CombinedBounds,
    statistics: UnitStatistics,
    group: SingleProcess,
) -> Sequence[UnitThresholds]:
    """Select a layer's thresholds from the values above ``bounds``, at each quantile."""
    memory = parts[0].feed.memory
    return thresholds(candidates, bounds, statistics, parts[0].quantiles, group, memory)


def _all_known(selected: Sequence[UnitThresholds]) -> bool:
    return all(bool(at_quantile.known.all()) for at_quantile in selected)


def _all_fitted(candidates: Sequence[Candidates], group: SingleProcess) -> bool:
    """Return whether the layer's maps fitted on disk in every process."""
    fitted_here = all(candidate.whole for candidate in candidates)
    return all(group.gather(fitted_here))


def _check_finite(layer: str, selected: Sequence[UnitThresholds]) -> None:
    """Raise NonFiniteActivation for a threshold of -infinity, above which no mask is defined."""
    for at_quantile in selected:
        for unit in at_quantile.values.isneginf().nonzero()[:, 0].tolist():
            raise NonFiniteActivation(
                f"layer {layer!r}, unit {unit}: no more than {at_quantile.quantile:g} of its "
                "activations are above -infinity, and a threshold of -infinity makes no mask; "
                "look for what makes them -infinity in the layers before"
            )


def _sum_over_group(counted: CountState, group: SingleProcess) -> CountState:
    """Sum the counts of all processes."""
    units = {}
    for layer_and_quantile, counts in counted.units.items():
        units[layer_and_quantile] = replace(
            counts,
            intersection=group.total(counts.intersection),
            unit_area=group.total(counts.unit_area),
        )
    areas = reduce(add, group.gather(counted.areas))
    return CountState(areas, units, _gather_all(counted.skipped, group))
