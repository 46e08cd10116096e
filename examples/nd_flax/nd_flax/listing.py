"""Descriptions of layers: what can be taken, and of the rest why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from nd_flax.naming import layer_name
from nd_flax.probe import check_image_count
from nd_flax.recording import Entry
from nd_flax.survey import PAIR, Survey, SurveyedRun
from nd_plugin import LayerDescription, Measurement, NDError, place


def describe(
    surveyed: SurveyedRun,
    survey: Survey,
    measurements: Mapping[Entry, Measurement],
) -> Iterator[LayerDescription]:
    """Describe each array in the output of a module's run."""
    run = surveyed.run
    is_reused = survey.count_runs(run.path) > 1
    name = layer_name(run.path, run.number if is_reused else None, None)
    try:
        surveyed.check_misfit(name)
    except NDError as error:
        yield LayerDescription.without_units(name, run.kind, error)
    for key, array in surveyed.arrays.items():
        entry_name = name
        if len(surveyed.arrays) > 1:
            entry_name = layer_name(name, None, key)
        measurement = measurements.get(Entry(run.path, run.number, key))
        try:
            surveyed.check(key, entry_name)
            placement = place(
                array.shape,
                array.positions,
                entry_name,
                survey.image_size,
                measurement,
            )
            maps = placement.layout.maps(torch.empty(array.shape, device="meta"))
            check_image_count(maps, PAIR, entry_name)
        except NDError as error:  # no layout in which units are found
            yield LayerDescription.without_units(entry_name, run.kind, error)
        else:
            shape = (1, *maps.shape[1:])
            yield LayerDescription(entry_name, run.kind, shape, placement.geometry)
