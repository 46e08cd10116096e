"""Layers of models of many kinds: the contract, and the maps of other runtimes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import networks
import pytest
import torch
from networks import MEAN, SCALE, SIZE
from torch import Tensor, nn
from torch.nn import functional as F

from nd_openvino.backend import OpenVinoBackend
from nd_plugin import (
    Dissection,
    LayerDissection,
    Model,
    ModelOptions,
    Preprocess,
    UnitScore,
    open_model,
)
from nd_plugin.testing import check_backend

# of two libraries that add up the same products of float32 in another order
TOLERANCE = 1e-4


PREPROCESS = Preprocess((64, 64), (0.5,) * 3, (0.5,) * 3)


def opened(model: str, **options: Any) -> Model:
    return OpenVinoBackend().open(model, ModelOptions(**options))


def maps_of(model: Model, layer: str, images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    with model.probe([layer], (height, width)) as probe:
        return probe(images)[layer]


def layer_named(model: Model, part: str, kind: str) -> str:
    """Return the one layer of a kind with a text in its name."""
    names = [
        layer.name
        for layer in model.layers(SIZE)
        if layer.kind == kind and part in layer.name
    ]
    (name,) = names
    return name


def assert_close(maps: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(maps, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_layer_of_torch_has_the_same_maps(branches: str) -> None:
    network = networks.built(networks.Branches)
    captured: dict[str, Tensor] = {}
    for name in ("stem", "depthwise", "transposed", "head"):
        module = network.get_submodule(name)

        def capture(
            _: nn.Module, inputs: Any, output: Tensor, name: str = name
        ) -> None:
            captured[name] = output

        module.register_forward_hook(capture)
    images = torch.rand(3, 3, *SIZE)
    with torch.no_grad():
        network(images)
    model = opened(branches)
    for name, expected in captured.items():
        layer = layer_named(model, f"__module.{name}/", "Add")
        shape = (*expected.shape, 1, 1)[:4]
        assert_close(maps_of(model, layer, images), expected.view(shape))


def test_a_layer_of_onnx_has_the_maps_of_onnx_runtime(onnx_file: str) -> None:
    images = torch.rand(2, 3, *SIZE)
    expected = maps_of(open_model(onnx_file), "relu1", images)
    assert_close(
        maps_of(opened(f"openvino:{onnx_file}"), "relu1", images), expected
    )


def test_weights_of_half_precision_are_computed_with_in_float32(
    saved: Callable[..., str],
) -> None:
    network = networks.built(networks.Branches)
    converted = networks.convert(network, [-1, 3, -1, -1], SIZE)
    model = opened(saved(converted, "half", compress_to_fp16=True))
    assert "float16" in str(getattr(model, "precision", ""))
    assert getattr(model, "compute_precision", "") == "float32"
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half())
        images = torch.rand(2, 3, *SIZE)
        expected = network.get_submodule("stem")(images)
    layer = layer_named(model, "__module.stem/", "Add")
    assert_close(maps_of(model, layer, images), expected)


@pytest.mark.parametrize(("count", "declared"), [(1, 1), (1, -1), (2, -1), (4, 4)])
def test_a_fixed_batch_is_filled_with_one_image(
    saved: Callable[..., str], count: int, declared: int
) -> None:
    graph = networks.fixed_batch(count, declared)
    model = opened(saved(graph, f"fixed-{count}-{declared}"))
    images = torch.rand(3, 3, 32, 32)
    with model.probe(["maps"], (32, 32)) as probe:
        (note,) = getattr(probe, "notes", ())
        maps = probe(images)["maps"]
    assert f"a batch of {count} image" in note
    assert_close(maps, maps_of(model, "conv", images))


def test_bytes_in_another_order_of_axes(saved: Callable[..., str]) -> None:
    network = networks.built(networks.Branches)
    converted = networks.convert(network, [-1, 3, -1, -1], SIZE)
    model = opened(saved(networks.taking_bytes(converted), "bytes"))
    assert model.preprocess.scale == 1 and not model.preprocess.assumed
    pixels = torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8)
    mean, scale = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, SCALE))
    with torch.no_grad():
        expected = network.get_submodule("stem")((pixels - mean) / scale)
    layer = layer_named(model, "__module.stem/", "Add")
    images = model.preprocess.normalise(pixels)
    assert_close(maps_of(model, layer, images), expected)


def test_a_quantised_model_rounds_and_computes_in_float32(
    saved: Callable[..., str],
) -> None:
    model = opened(saved(networks.quantised(), "quantised"))
    (note,) = model.notes
    assert "quantised" in note and "int8" in str(getattr(model, "precision", ""))
    images = torch.randn(2, 3, *SIZE)
    rounded = (images.clamp(0, 1) * 255).round() / 255
    weights = torch.from_numpy(networks.quantised_weights()) / 127
    expected = F.conv2d(rounded, weights, stride=2, padding=1)
    # read together: OpenVINO's integer arithmetic would lose the scale of the second
    with model.probe(["conv", "relu"], SIZE) as probe:
        maps = probe(images)
    assert_close(maps["conv"], expected)
    assert_close(maps["relu"], expected.relu())


def test_places_are_derived_for_operations_of_all_kinds(
    saved: Callable[..., str],
) -> None:
    path = saved(networks.many_operations(), "operations")
    model = opened(path)
    size = (64, 80)
    layers = {layer.name: layer for layer in model.layers(size)}
    measured = [
        name
        for name, layer in layers.items()
        if layer.geometry is None or layer.geometry.measured
    ]
    assert measured == []
    # the geometry of each is compared with perturbed images
    check_backend(OpenVinoBackend, path, layers=list(layers), size=size)
    assert layers["last"].shape == layers["stem"].shape


def test_axes_may_be_named(saved: Callable[..., str]) -> None:
    model = opened(saved(networks.many_operations(), "operations"))
    with model.probe(["last@nhwc"], SIZE) as probe:
        maps = probe(torch.rand(1, 3, *SIZE))["last"]
        assert maps.shape == (1, 8, 24, 32)
        assert "as requested" in " ".join(getattr(probe, "notes", ()))


class Colours(nn.Module):
    """Planted units: how near a pixel is to each of a few colours."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 6, 1)
        self.pool = nn.AvgPool2d(4)
        colours = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0]]
        values = torch.tensor(colours) * 2.0 - 1
        with torch.no_grad():
            self.colours.weight.copy_(values.view(6, 3, 1, 1))
            self.colours.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        """Return maps of colours."""
        return self.pool(self.colours(images))


def test_planted_units_get_the_labels_that_they_get_in_torch(
    saved: Callable[..., str],
) -> None:
    network = Colours().eval()
    path = saved(networks.convert(network, [-1, 3, 64, 64], (64, 64)), "colours")
    layer = opened(path).layers((64, 64))[-1].name
    expected = scores(LayerDissection(network, "pool"))
    actual = scores(LayerDissection(path, layer))
    assert [unit.concept for unit in actual] == [unit.concept for unit in expected]
    assert any(unit.detector for unit in actual)
    ious = [unit.iou for unit in actual]
    # a cell whose value is the threshold may fall on either side of it
    assert ious == pytest.approx([unit.iou for unit in expected], abs=0.01)


def scores(layer: LayerDissection) -> Sequence[UnitScore]:
    dissection = layer.dissect("shapes?images=20&size=64", preprocess=PREPROCESS)
    assert isinstance(dissection, Dissection)
    return dissection.report().scores
