"""From what the parts of a dissection have seen: thresholds, then masks and counts of the whole.

All state is a sum over images, so that processes, machines and interrupted runs add up to the same integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add, or_

from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.passes import Passes
from nd_plugin.engine.state import CountState
from nd_plugin.engine.thresholds import (
    UnitThresholds,
    completed,
    sure_level,
    thresholds,
)
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.errors import NonFiniteActivation, Unreadable
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.lower_bound import CombinedBounds
from nd_plugin.receptive_fields.geometry import Geometry

AGAIN = "the images went through the model once more: "


NO_ROOM = AGAIN + "the disk had no room for the maps that may exceed a threshold"


NOT_KEPT = AGAIN + "some thresholds were not among the values that the bounds had kept"


@dataclass(frozen=True)
class CombinedState:
    """What all parts have seen."""

    observations: Mapping[str, UnitStatistics]
    thresholds: Mapping[str, Sequence[UnitThresholds]]
    counted: CountState
    skipped: Sequence[Skipped]
    notes: Mapping[str, Sequence[str]]  # by layer
    geometries: Mapping[str, Geometry]


def combine(parts: Sequence[Passes], group: SingleProcess) -> CombinedState:
    """From what the parts of this process, and of the others in the group, have seen: thresholds, then masks."""
    skipped = [
        item
        for items in group.gather([s for part in parts for s in part.state.skipped])
        for item in items
    ]
    observations = {
        layer: _observation(parts, layer, skipped, group) for layer in parts[0].layers
    }
    found, notes = _thresholds(parts, observations, group)
    counted = _summed(reduce(add, (part.count(found) for part in parts)), group)
    if not counted.areas.images.any() and counted.skipped:
        first = counted.skipped[0]
        raise Unreadable(
            f"none of the annotations can be read; {first.image}: {first.reason}"
        )
    geometries = reduce(
        or_,
        group.gather(
            {
                key: one.geometry
                for part in parts
                for key, one in part.state.layers.items()
            }
        ),
    )
    return CombinedState(
        observations, found, counted, [*skipped, *counted.skipped], notes, geometries
    )


def _thresholds(
    parts: Sequence[Passes],
    observations: Mapping[str, UnitStatistics],
    group: SingleProcess,
) -> tuple[dict[str, Sequence[UnitThresholds]], dict[str, list[str]]]:
    """By layer, and what is to be said of it; after a second pass where some were not kept."""
    bounds = {layer: _bounds(parts, layer, group) for layer in observations}

    def known(
        layer: str, bounds: CombinedBounds, kept: Sequence[Candidates]
    ) -> Sequence[UnitThresholds]:
        memory = parts[0].feed.memory
        return thresholds(
            kept, bounds, observations[layer], parts[0].quantiles, group, memory
        )

    found = {
        layer: known(layer, bounds[layer], _candidates(parts, layer))
        for layer in observations
    }
    notes = {
        layer: [NO_ROOM] if _without_room(parts, layer, group) else []
        for layer in observations
    }
    unknown = [
        layer
        for layer in observations
        if not all(bool(at.known.all()) for at in found[layer])
    ]
    levels = {layer: sure_level(found[layer]) for layer in unknown}
    for part in parts if unknown else ():
        part.see_again(levels)
    for layer in unknown:
        kept = [part.state.again[layer] for part in parts if layer in part.state.again]
        more = known(layer, bounds[layer]._replace(level=levels[layer]), kept)
        found[layer] = completed(found[layer], more)
        notes[layer].append(NOT_KEPT)
    for layer, every in found.items():
        _check_finite(layer, every)
    return found, notes


def _check_finite(layer: str, found: Sequence[UnitThresholds]) -> None:
    for at in found:
        for unit in at.values.isneginf().nonzero()[:, 0].tolist():
            raise NonFiniteActivation(
                f"layer {layer!r}, unit {unit}: no more than {at.quantile:g} of its activations are above minus "
                "infinity, and a threshold of minus infinity makes no mask; look at the layer before what puts it there"
            )


def _without_room(parts: Sequence[Passes], layer: str, group: SingleProcess) -> bool:
    """Whether in some process the disk had no room for the layer's maps."""
    return any(
        group.gather(
            any(not candidates.whole for candidates in _candidates(parts, layer))
        )
    )


def _candidates(parts: Sequence[Passes], layer: str) -> list[Candidates]:
    """Of these parts, from their first pass."""
    return [
        part.state.layers[layer].candidates
        for part in parts
        if layer in part.state.layers
    ]


def _bounds(
    parts: Sequence[Passes], layer: str, group: SingleProcess
) -> CombinedBounds:
    """Of all parts of all processes."""
    mine = [
        part.state.layers[layer].bound.snapshot()
        for part in parts
        if layer in part.state.layers
    ]
    return CombinedBounds.of([one for its in group.gather(mine) for one in its])


def _observation(
    parts: Sequence[Passes],
    layer: str,
    skipped: Sequence[Skipped],
    group: SingleProcess,
) -> UnitStatistics:
    """Of all parts of all processes. Raises Unreadable where none has seen an image."""
    mine = [
        part.state.layers[layer].observation.on_cpu()
        for part in parts
        if layer in part.state.layers
    ]
    every = [one for its in group.gather(mine) for one in its]
    if not every:
        first = skipped[0]
        raise Unreadable(
            f"none of the {len(skipped)} images can be read; {first.image}: {first.reason}"
        )
    return reduce(add, every)


def _summed(counted: CountState, group: SingleProcess) -> CountState:
    """What all processes have counted."""
    others = group.gather((counted.areas, counted.skipped))
    units = {
        key: replace(
            counts,
            intersection=group.total(counts.intersection),
            unit_area=group.total(counts.unit_area),
        )
        for key, counts in counted.units.items()
    }
    return CountState(
        reduce(add, (areas for areas, _ in others)),
        units,
        [s for _, skipped in others for s in skipped],
    )
