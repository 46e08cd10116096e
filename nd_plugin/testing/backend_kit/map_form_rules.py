"""Rules of the form of what a probe gives: mappings, axes, types, devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.noise_run import NoiseRun
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.backend_kit.probe_record import Maps
from nd_plugin.testing.conformance import Rule, Unchecked, require
from nd_plugin.testing.outcomes import Outcome

FULL_PRECISIONS = (torch.float32, torch.float64)


def maps_form(case: BackendCase) -> None:
    """Require a mapping of tensors of four axes, one map for each image."""
    given = case.record.given.get()
    require(
        isinstance(given, Mapping),
        f"a probe gives a mapping of maps, not a {type(given).__name__}",
    )
    for layer in given:
        maps = given[layer]
        require(
            isinstance(maps, Tensor),
            f"maps of {layer} are a torch.Tensor, not a {type(maps).__name__}",
        )
        require(
            maps.dim() == 4,
            f"maps of {layer} are (image, unit, row, column), not {tuple(maps.shape)}",
        )
        require(
            len(maps) == len(case.images),
            f"maps of {layer} are of {len(maps)} images for {len(case.images)}",
        )


def probe_layers(case: BackendCase) -> None:
    """Require the requested layers, in their order."""
    probe = case.record.probe
    require(
        isinstance(probe.layers, tuple),
        f"probe.layers is a tuple of names, not a {type(probe.layers).__name__}",
    )
    given = tuple(case.record.given.get())
    require(
        given == probe.layers,
        f"maps are of {given}, but probe.layers are {probe.layers}",
    )
    requested = list(case.layers)
    require(
        len(probe.layers) == len(requested),
        f"probe.layers are {probe.layers}, asked for were {requested}",
    )
    with case.opened.probe(requested[::-1], case.size) as backwards:
        names = tuple(backwards.layers)
    expected = probe.layers[::-1]
    # layers of a function have no names of their own
    if all(isinstance(layer, str) for layer in requested):
        require(
            names == expected,
            f"asked for in the other order, probe.layers are {names}, not {expected}",
        )


def maps_dtype(case: BackendCase) -> None:
    """Require floating-point maps, and a model that says so where they are of half precision."""
    for layer, maps in given_maps(case).items():
        require(
            maps.is_floating_point(),
            f"maps of {layer} are {maps.dtype}, not floating-point numbers",
        )
        require(
            maps.dtype in FULL_PRECISIONS or _is_stated(case.opened, maps.dtype),
            f"maps of {layer} are {maps.dtype}, which neither compute_precision nor precision "
            "of the model says",
        )


def _is_stated(model: Any, dtype: torch.dtype) -> bool:
    name = str(dtype).removeprefix("torch.")
    stated = (
        getattr(model, "precision", ""),
        getattr(model, "compute_precision", ""),
    )
    return any(name in str(text) for text in stated)


def maps_without_gradients(case: BackendCase) -> None:
    """Require maps that are cut off from autograd's graph."""
    for layer, maps in given_maps(case).items():
        require(
            not maps.requires_grad,
            f"maps of {layer} require gradients, and keep the graph of the pass in memory",
        )


def maps_device(case: BackendCase) -> None:
    """Require maps on the device of the images."""
    for layer, maps in given_maps(case).items():
        require(
            maps.device == case.images.device,
            f"maps of {layer} are on {maps.device}, images on {case.images.device}",
        )


def shapes(case: BackendCase) -> None:
    """Require listed shapes that fit the maps."""
    listed = {layer.name: layer for layer in case.listed}
    for layer, maps in given_maps(case).items():
        description = listed.get(layer)
        if description is None or description.shape is None:
            continue
        require(
            fits(description.shape, maps),
            f"layers() lists {layer} with the shape {description.shape}, but its maps are "
            f"{tuple(maps.shape[1:])} (unit, row, column)",
        )


def fits(shape: tuple[int, ...], maps: Tensor) -> bool:
    """Return whether maps can be of an output of that shape for one image, in any order of axes."""
    _, units, rows, columns = maps.shape
    if len(shape) == 4:
        return Counter(shape) == Counter((1, units, rows, columns))
    if len(shape) == 3:  # tokens, some of which may belong to no cell
        sides = sorted(shape)
        sides.remove(1) if 1 in sides else sides.clear()
        others = list(sides)
        if units not in others:
            return False
        others.remove(units)
        return rows * columns <= others[0]
    return units in shape and rows == columns == 1


def noise_run(case: BackendCase) -> None:
    """Require that a noise run has maps of the layers, one for each image."""
    noise = getattr(case.record.probe, "noise_run", None)
    if noise is None:
        return
    require(isinstance(noise, NoiseRun), f"noise_run is a NoiseRun, not {noise!r}")
    for layer in noise.maps:
        require(
            layer in case.record.probe.layers,
            f"noise_run has maps of {layer}, which is not among the probe's layers",
        )
        require(
            len(noise.maps[layer]) == len(noise.images),
            f"noise_run has {len(noise.maps[layer])} maps of {layer} for "
            f"{len(noise.images)} images",
        )


def given_maps(case: BackendCase) -> Mapping[str, Tensor]:
    """Return the maps of the first call, as they are. Raises Unchecked for another form."""
    given = case.record.given.get()
    if not isinstance(given, Mapping):
        raise Unchecked("not checked, as a probe gives no mapping")
    for maps in given.values():
        if not isinstance(maps, Tensor) or maps.dim() != 4:
            raise Unchecked(
                "not checked, as maps are not (image, unit, row, column)"
            )
        if len(maps) != len(case.images):
            raise Unchecked("not checked, as maps are not one for each image")
    return given


def values_of(case: BackendCase, outcome: Outcome[Maps]) -> Maps:
    """Return the maps of a step. Raises Unchecked for maps whose values cannot be compared."""
    given_maps(case)
    maps = outcome.get()
    for values in maps.values():
        if values.device != case.images.device:
            raise Unchecked(
                "not checked, as maps are on another device than images"
            )
        if not values.is_floating_point():
            raise Unchecked("not checked, as maps are not floating-point numbers")
    return maps


RULES: tuple[Rule[BackendCase], ...] = (
    Rule(
        "maps-form",
        "a call gives a mapping of tensors (image, unit, row, column), one map for each image",
        maps_form,
    ),
    Rule(
        "probe-layers",
        "probe.layers is a tuple of the names of the layers asked for, in that order, and maps "
        "are of these",
        probe_layers,
    ),
    Rule(
        "maps-dtype",
        "maps are floating-point numbers, of half precision only where the model says so",
        maps_dtype,
    ),
    Rule(
        "maps-without-gradients",
        "maps are cut off from autograd",
        maps_without_gradients,
    ),
    Rule("maps-device", "maps are on the device of the images", maps_device),
    Rule("shapes", "the shapes that layers() lists are those of the maps", shapes),
    Rule(
        "noise-run",
        "an optional noise_run has maps of the probe's layers, one for each image",
        noise_run,
    ),
)
