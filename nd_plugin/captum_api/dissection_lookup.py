"""Dissections that belong to a `LayerDissection`: one, several, or the folder of a saved run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nd_plugin.errors import BadInput
from nd_plugin.pictures.grey_values import WHITES
from nd_plugin.results.displayed_layers import DissectionList
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.run_folder import load_run

Dissections = Dissection | list[Dissection] | list[list[Dissection]]


def load_dissections(folder: str | Path) -> Dissections:
    """Load a saved run: a Dissection, or a list if the run has several."""
    dissections = load_run(folder)
    return dissections[0] if len(dissections) == 1 else DissectionList(dissections)


def recorded_whites(dissections: Dissections | None) -> Mapping[str, int]:
    """Return the values of white of the grey images of a run, by kind of values."""
    whites: dict[str, int] = {}
    for dissection in _flatten([] if dissections is None else dissections):
        whites |= dissection.provenance.extra.get(WHITES, {})
    return whites


def list_dissections(dissections: Dissections | None) -> list[Dissection]:
    """List all dissections, those of nested lists too. Raises BadInput for None."""
    if dissections is None:
        raise BadInput(
            "no dissection: run dissect, or set .dissection to a saved one (or to its run's folder)"
        )
    return list(_flatten(dissections))


def _flatten(dissections: Dissections) -> Iterator[Dissection]:
    if isinstance(dissections, Dissection):
        yield dissections
        return
    for entry in dissections:
        yield from _flatten(entry)


def dissection_of_layer(
    dissections: Sequence[Dissection], layer_name: str
) -> Dissection:
    """Return the first dissection of a layer. Raises BadInput if there is none."""
    for dissection in dissections:
        if dissection.layer == layer_name:
            return dissection
    layers = ", ".join(dissection.layer for dissection in dissections)
    raise BadInput(
        f"no dissection of layer {layer_name!r}: .dissection has {layers}"
    )
