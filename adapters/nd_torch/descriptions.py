"""Descriptions of layers: what can be taken, and of the rest why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn

from nd_plugin import LayerDescription, Measurement, NDError, place
from nd_torch.exported import kind_of
from nd_torch.measuring import Entry
from nd_torch.naming import INSIDE_SCRIPT
from nd_torch.probe import check_image_count
from nd_torch.survey import ModuleRun, Survey


def describe(
    run: ModuleRun,
    name: str,
    first_pass: Survey,
    measurements: Mapping[Entry, Measurement | None],
) -> Iterator[LayerDescription]:
    """Describe each entry of the output of a module's run, and what is inside a TorchScript one."""
    kind = kind_of(run.module)
    has_several = len(run.shapes) > 1
    try:
        run.check_entries(name)
    except NDError as error:
        yield LayerDescription.without_units(name, kind, error)
    for key, shape in run.shapes.items():
        entry_name = f"{name}[{key}]" if has_several else name
        measurement = measurements.get(Entry(run.module, run.number, key))
        output = torch.empty(shape, device="meta")
        try:
            run.check_dependence(key, entry_name)
            placement = place(
                shape,
                run.positions[key],
                entry_name,
                first_pass.image_size,
                measurement,
            )
            maps = placement.layout.maps(output)
            check_image_count(maps, first_pass.image_count, entry_name)
        except NDError as error:  # no layout in which units are found
            yield LayerDescription.without_units(entry_name, kind, error)
        else:
            maps_shape = (1, *maps.shape[1:])
            yield LayerDescription(entry_name, kind, maps_shape, placement.geometry)
    if run.number == 0:
        yield from _describe_scripted(run.module, name)


def _describe_scripted(module: nn.Module, name: str) -> Iterator[LayerDescription]:
    """Describe the layers inside a TorchScript module, which cannot be taken."""
    if not isinstance(module, torch.jit.ScriptModule):
        return
    for inner_name, inner in module.named_modules():
        if inner_name:
            yield LayerDescription(
                f"{name}.{inner_name}",
                kind_of(inner),
                None,
                reason=INSIDE_SCRIPT.format(name),
            )
