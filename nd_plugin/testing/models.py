"""Contract suite of backends and their models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.models import Model, Probe
from nd_plugin.contracts.split_models import SplitModel
from nd_plugin.errors import LayerNotFound
from nd_plugin.preprocess import Preprocess
from nd_plugin.receptive_fields.geometry import Geometry, Size
from nd_plugin.testing.concept_sets import _check_identity


def check_model(model: Model, layers: Sequence[Any], size: Size) -> None:
    """Check an opened model, and probes on some of its layers, for inputs of ``size``."""
    _check_identity(model.identity)
    assert model.backend and isinstance(model.preprocess, Preprocess), (
        "a model names its backend and preprocessing"
    )
    listed = model.layers(size)
    assert listed and len({layer.name for layer in listed}) == len(listed), (
        "layers are listed, each once"
    )
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(1)).to(model.device)
    with model.probe(layers, size) as probe:
        first = _checked_maps(probe, images, len(layers))
        kept = {layer: maps.clone() for layer, maps in first.items()}
        _check_batches(probe, images, kept)
        assert all(torch.equal(first[layer], kept[layer]) for layer in kept), (
            "maps are the caller's own"
        )
    _check_reopened(model, layers, size, images, kept)
    if isinstance(model, SplitModel):
        for asked, (layer, maps) in zip(layers, kept.items(), strict=True):
            _check_rest(model, asked, layer, images, maps)
    _check_unknown_layer(model, size)


def _checked_maps(probe: Probe, images: Tensor, layers: int) -> dict[str, Tensor]:
    found = dict(probe(images))
    assert tuple(found) == probe.layers and len(found) == layers, (
        "a probe gives its layers, in order"
    )
    for layer, maps in found.items():
        assert maps.dim() == 4 and maps.shape[0] == len(images), (
            f"maps of {layer} are (image, unit, row, column)"
        )
        assert maps.is_floating_point() and not maps.requires_grad, (
            f"maps of {layer} are numbers without gradients"
        )
        assert isinstance(probe.geometries[layer], Geometry), f"{layer} has a geometry"
    return found


def _check_batches(probe: Probe, images: Tensor, together: dict[str, Tensor]) -> None:
    for place in range(len(images)):
        for layer, maps in probe(images[place : place + 1]).items():
            expected = together[layer][place : place + 1].to(maps.dtype)
            torch.testing.assert_close(
                maps, expected, rtol=1e-4, atol=1e-4, msg=f"{layer}: a batch is its images"
            )


def _check_reopened(
    model: Model, layers: Sequence[Any], size: Size, images: Tensor, kept: dict[str, Tensor]
) -> None:
    try:
        with model.probe(layers, size):
            raise _Interruption
    except _Interruption:
        pass
    with model.probe(layers, size) as probe:
        for layer, maps in probe(images).items():
            assert torch.equal(maps, kept[layer]), (
                f"{layer}: after a failure a new probe gives the same"
            )


def _check_rest(model: SplitModel, asked: Any, layer: str, images: Tensor, maps: Tensor) -> None:
    with torch.no_grad(), model.rest(asked, (images,)) as rest:
        assert rest.name == layer, f"{layer}: a cut has the name that a probe gives"
        value, outputs = rest.layer(images), model.outputs(images)
        found = rest.layout.maps(value).to(maps.dtype)
        torch.testing.assert_close(
            found, maps, rtol=1e-4, atol=1e-4, msg=f"{layer}: its maps are a probe's"
        )
        again = rest(value.clone(), images)
        if isinstance(outputs, Tensor):
            message = f"{layer}: with its own output put back, the model gives what it gives"
            torch.testing.assert_close(again, outputs, rtol=1e-4, atol=1e-4, msg=message)


def _check_unknown_layer(model: Model, size: Size) -> None:
    try:
        with model.probe(["no such layer"], size):
            pass
    except LayerNotFound as error:
        assert "no such layer" in str(error), "the error names the layer"
    else:
        raise AssertionError("a layer that does not exist is a LayerNotFound")


class _Interruption(Exception):
    """Raised inside a probe."""
