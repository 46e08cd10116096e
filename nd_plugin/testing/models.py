"""Contract suite of backends and their models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.models import LayerDescription, Model, Probe
from nd_plugin.contracts.noise_run import NoiseRun
from nd_plugin.contracts.split_models import SplitModel
from nd_plugin.errors import LayerNotFound
from nd_plugin.preprocess import Preprocess
from nd_plugin.receptive_fields.geometry import Geometry, Size
from nd_plugin.testing.concept_sets import check_identity, check_texts
from nd_plugin.testing.places import check_places

# Kernels that a batch size or a cut selects may differ in the last bits of float32.
TOLERANCE = 1e-4
IMAGES = 3


def check_model(model: Model, layers: Sequence[Any], size: Size) -> None:
    """Check an opened model, and probes on some of its layers, for inputs of ``size``.

    Raises AssertionError, saying what does not hold.
    """
    check_identity(model.identity)
    assert model.backend, "a model names its backend"
    assert isinstance(model.preprocess, Preprocess), (
        "a model says how images are prepared"
    )
    check_texts(model.notes, "model.notes")
    for name in ("spec", "structure"):
        text = getattr(model, name, "")
        assert isinstance(text, str), f"model.{name} is a text, not {text!r}"
    _check_listed(model.layers(size))
    random = torch.Generator().manual_seed(1)
    shape = (IMAGES, model.preprocess.channels, *size)
    images = torch.rand(shape, generator=random).to(model.device)
    with model.probe(layers, size) as probe:
        maps_of = _checked_maps(probe, images, len(layers))
        _check_noise(probe)
        copies = {layer: maps.clone() for layer, maps in maps_of.items()}
        _check_batches(probe, images, copies)
        for layer, maps in maps_of.items():
            assert torch.equal(maps, copies[layer]), "maps are the caller's own"
    _check_reopened(model, layers, size, images, copies)
    check_places(model, layers, size)
    if isinstance(model, SplitModel):
        for layer, (name, maps) in zip(layers, copies.items(), strict=True):
            _check_split(model, layer, name, images, maps)
    _check_unknown_layer(model, size)


def _check_listed(layers: Sequence[LayerDescription]) -> None:
    names = [layer.name for layer in layers]
    assert names, "a model lists its layers"
    assert len(set(names)) == len(names), "each layer is listed once"
    for layer in layers:
        assert layer.shape is None or isinstance(layer.shape, tuple), (
            f"the shape of {layer.name} is a tuple, not {type(layer.shape).__name__}"
        )


def _checked_maps(probe: Probe, images: Tensor, layers: int) -> dict[str, Tensor]:
    maps_of = dict(probe(images))
    assert isinstance(probe.layers, tuple), (
        f"probe.layers is a tuple of names, not {type(probe.layers).__name__}"
    )
    assert tuple(maps_of) == probe.layers, "a probe gives its layers, in order"
    for name in ("notes", "unreliable"):
        check_texts(getattr(probe, name, ()), f"probe.{name}")
    assert len(maps_of) == layers, "a probe gives each layer that was asked for"
    for layer, maps in maps_of.items():
        assert maps.dim() == 4, f"maps of {layer} are (image, unit, row, column)"
        assert len(maps) == len(images), f"maps of {layer} are one for each image"
        assert maps.is_floating_point(), (
            f"maps of {layer} are floating-point numbers"
        )
        assert not maps.requires_grad, f"maps of {layer} are without gradients"
        assert maps.device == images.device, (
            f"maps of {layer} are on {maps.device}, images on {images.device}"
        )
        assert isinstance(probe.geometries[layer], Geometry), (
            f"{layer} has a geometry"
        )
    return maps_of


def _check_noise(probe: Probe) -> None:
    """Check the optional run of noise: maps of the probe's layers, one for each image."""
    noise_run = getattr(probe, "noise_run", None)
    if noise_run is None:
        return
    assert isinstance(noise_run, NoiseRun), "probe.noise_run is a NoiseRun"
    for layer in noise_run.maps:
        assert layer in probe.layers, (
            f"noise_run has maps of its layers, not {layer}"
        )
        count = len(noise_run.maps[layer])
        assert count == len(noise_run.images), (
            f"noise_run has a map of {layer} for each image"
        )


def _check_batches(
    probe: Probe, images: Tensor, batch_maps: dict[str, Tensor]
) -> None:
    for index in range(len(images)):
        for layer, maps in probe(images[index : index + 1]).items():
            _check_close(
                maps,
                batch_maps[layer][index : index + 1],
                f"{layer}: a batch is its images",
            )


def _check_reopened(
    model: Model,
    layers: Sequence[Any],
    size: Size,
    images: Tensor,
    first: dict[str, Tensor],
) -> None:
    try:
        with model.probe(layers, size):
            raise _Interruption
    except _Interruption:
        pass
    with model.probe(layers, size) as probe:
        for layer, maps in probe(images).items():
            assert torch.equal(maps, first[layer]), (
                f"{layer}: after a failure a new probe gives the same"
            )


def _check_split(
    model: SplitModel, layer: Any, name: str, images: Tensor, maps: Tensor
) -> None:
    """Check a model split at a layer: its name, its maps, and that its rest gives the output."""
    with torch.no_grad(), model.rest(layer, (images,)) as rest:
        assert rest.name == name, f"{name}: a split has the name that a probe gives"
        value = rest.layer(images)
        outputs = model.outputs(images)
        _check_close(
            rest.layout.maps(value), maps, f"{name}: its maps are a probe's"
        )
        rest_outputs = rest(value.clone(), images)
        if isinstance(outputs, Tensor):
            message = f"{name}: with its own output put back, the model gives what it gives"
            _check_close(rest_outputs, outputs, message)


def _check_close(actual: Tensor, expected: Tensor, message: str) -> None:
    torch.testing.assert_close(
        actual.to(expected.dtype),
        expected,
        rtol=TOLERANCE,
        atol=TOLERANCE,
        msg=message,
    )


def _check_unknown_layer(model: Model, size: Size) -> None:
    try:
        with model.probe(["no such layer"], size):
            pass
    except LayerNotFound as error:
        assert "no such layer" in str(error), "the error names the layer"
    except KeyError as error:
        raise AssertionError(
            "probe() raises KeyError for a layer that does not exist; raise "
            "nd_plugin.LayerNotFound instead, naming the layer and the nearest ones"
        ) from error
    else:
        raise AssertionError("a layer that does not exist is a LayerNotFound")


class _Interruption(Exception):
    """Raised inside a probe."""
