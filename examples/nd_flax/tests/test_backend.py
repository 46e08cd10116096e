"""The backend as its users meet it: layers, maps, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flax_models
import jax
import numpy as np
import pytest
import torch
from flax import nnx

from nd_plugin import (
    BadInput,
    LayerAmbiguous,
    LayerDissection,
    LayerNotFound,
    Model,
    ModelFailed,
    ModelOptions,
    Unavailable,
    UnitsNotFound,
    open_model,
)

SIZE = (48, 64)
SMALL = "flax:nd_flax.example:SmallNetwork?width=8"


@pytest.fixture(scope="module")
def twins() -> Iterator[tuple[nnx.Module, torch.nn.Module]]:
    network = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(1))
    yield network, flax_models.TorchTwin(network).eval()


def shapes_of(model: Model, size: tuple[int, int]) -> dict[str, Any]:
    return {layer.name: layer.shape for layer in model.layers(size)}


def test_layers_are_listed_as_they_run_with_units_first() -> None:
    listed = open_model(SMALL).layers(SIZE)
    assert [(layer.name, layer.kind, layer.shape) for layer in listed] == [
        ("stem", "Conv", (1, 8, 24, 32)),
        ("block.conv", "Conv", (1, 8, 12, 16)),
        ("block.norm", "BatchNorm", (1, 8, 12, 16)),
        ("block.drop", "Dropout", (1, 8, 12, 16)),
        ("block", "Residual", (1, 8, 12, 16)),
        ("patches", "Conv", (1, 8, 3, 4)),
        ("attention.query", "LinearGeneral", None),  # (image, token, head, feature)
        ("attention.key", "LinearGeneral", None),
        ("attention.value", "LinearGeneral", None),
        ("attention.out", "LinearGeneral", (1, 8, 3, 4)),
        ("attention", "MultiHeadAttention", (1, 8, 3, 4)),
        ("head", "Linear", (1, 10, 1, 1)),
    ]
    by_name = {layer.name: layer for layer in listed}
    patches = by_name["patches"].geometry
    assert patches is not None
    # the stem sees pixels -1 … 3, pooling joins two of its cells, patches four of these
    assert (patches.rows.size, patches.rows.stride, patches.rows.offset) == (
        27,
        16,
        8,
    )
    assert by_name["attention"].geometry == patches
    assert "heads" in by_name["attention.query"].reason


def test_same_and_valid_padding_place_cells_as_convolutions_do(twins: Any) -> None:
    listed = open_model(twins[0]).layers(flax_models.SIZE)
    axes = {layer.name: layer.geometry.rows for layer in listed if layer.geometry}
    # kernel 4, stride 2: SAME pads 1 before and 1 after; its cell 0 sees pixels -1 … 2
    assert (axes["first"].size, axes["first"].stride, axes["first"].offset) == (
        4,
        2,
        0.5,
    )
    # pooled by 2; kernel 3 dilated by 2 reaches 5 cells of 4 pixels
    assert (axes["second"].size, axes["second"].stride) == (22, 4)
    assert axes["second"].offset == 0.5 + 1 + 8


def test_maps_are_those_of_the_same_network_in_torch(twins: Any) -> None:
    network, twin = twins
    images = torch.randn(3, 3, *flax_models.SIZE)
    names = ["first", "norm", "second", "hidden", "head"]
    with open_model(network).probe(names, flax_models.SIZE) as probe:
        maps = probe(images)
        geometries = dict(probe.geometries)
    with open_model(twin).probe(names, flax_models.SIZE) as probe:
        expected = probe(images)
        # torch's convolution has no padding of its own: its cells lie on the padded image
        assert (
            geometries["second"].rows.stride
            == probe.geometries["second"].rows.stride
        )
    for name in names:
        # the libraries add up products in other orders
        torch.testing.assert_close(maps[name], expected[name], rtol=1e-4, atol=1e-5)


def test_a_dissection_finds_what_it_finds_in_torch(twins: Any) -> None:
    network, twin = twins
    concepts = "shapes?images=12&size=64"
    results = []
    for model in (network, twin):
        dissection = LayerDissection(model, "norm")
        result = dissection.dissect(
            concepts, workers=0, preprocess=flax_models.PIXELS
        )
        results.append(result)
    ours, torchs = results
    np.testing.assert_allclose(ours.thresholds, torchs.thresholds, atol=1e-5)
    # cells near a threshold may fall on its other side, by the last bits of float32
    np.testing.assert_allclose(
        ours.intersection, torchs.intersection, rtol=0.01, atol=20
    )
    assert ours.intersection.sum() > 0


def test_the_model_is_left_as_it_was() -> None:
    network = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(0))
    network.train()
    classes = {path: type(inner) for path, inner in nnx.iter_modules(network)}
    state = jax.tree_util.tree_map(
        np.array, nnx.state(network, nnx.Param, nnx.BatchStat)
    )
    model = open_model(network)
    with pytest.raises(RuntimeError, match="in between"):  # noqa: SIM117
        with model.probe(["norm"], flax_models.SIZE) as probe:
            probe(torch.rand(2, 3, *flax_models.SIZE))
            raise RuntimeError("in between")
    assert classes == {
        path: type(inner) for path, inner in nnx.iter_modules(network)
    }
    assert (network.drop.deterministic, network.norm.use_running_average) == (
        False,
        False,
    )
    jax.tree_util.tree_map(
        np.testing.assert_array_equal,
        state,
        nnx.state(network, nnx.Param, nnx.BatchStat),
    )


def test_a_model_that_is_trained_on_is_probed_as_it_is_now() -> None:
    network = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(0))
    model = open_model(network)
    images = torch.rand(2, 3, *flax_models.SIZE)
    with model.probe(["first"], flax_models.SIZE) as probe:
        before = probe(images)["first"]
    network.first.bias.set_value(network.first.bias[...] + 1)
    with model.probe(["first"], flax_models.SIZE) as probe:
        torch.testing.assert_close(probe(images)["first"], before + 1)


def test_reused_compiled_hidden_and_constant_layers_say_what_they_are() -> None:
    model = open_model("flax:flax_models:Reused")
    listed = {layer.name: layer for layer in model.layers((16, 24))}
    assert list(listed) == [
        "first",
        "again#0",
        "again#1",
        "compiled",
        "hidden",
        "pair[0]",
        "pair[1]",
        "table",
    ]
    assert listed["compiled"].shape == (1, 4, 8, 12)
    assert "remat" in listed["hidden"].reason
    assert "does not depend on the image" in listed["table"].reason
    for layer, error in (
        ("again", LayerAmbiguous),
        ("pair", LayerAmbiguous),
        ("hidden", UnitsNotFound),
        ("table", UnitsNotFound),
        ("agian", LayerNotFound),
    ):
        with pytest.raises(error, match=layer), model.probe([layer], (16, 24)):
            pass
    with model.probe(["pair[1]", "pair[0]"], (16, 24)) as probe:
        maps = probe(torch.rand(2, 3, 16, 24))
    assert torch.equal(maps["pair[1]"], -maps["pair[0]"])


def test_statistics_of_the_batch_are_noticed_and_images_run_one_at_a_time() -> None:
    with open_model("flax:flax_models:BatchStatistics").probe(
        ["centred"], (16, 24)
    ) as probe:
        assert any("one at a time" in note for note in probe.notes)
        images = torch.rand(3, 3, 16, 24)
        assert torch.equal(
            probe(images)["centred"][:1], probe(images[:1])["centred"]
        )


def test_layers_may_be_given_as_modules() -> None:
    network = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(0))
    model = open_model(network)
    with model.probe([network.norm], flax_models.SIZE) as probe:
        assert probe.layers == ("norm",)
    other = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(0))
    with (
        pytest.raises(LayerNotFound, match="not a module of"),
        model.probe([other.norm], flax_models.SIZE),
    ):
        pass


def test_linen_modules_run_without_training() -> None:
    model = open_model(flax_models.linen_network())
    assert shapes_of(model, (16, 24)) == {
        "stem": (1, 8, 8, 12),
        "LinenBlock_0.Conv_0": (1, 8, 8, 12),
        "LinenBlock_0.BatchNorm_0": (1, 8, 8, 12),
        "LinenBlock_0.Dropout_0": (1, 8, 8, 12),
        "LinenBlock_0": (1, 8, 8, 12),
        "LinenBlock_1.Conv_0": (1, 8, 8, 12),
        "LinenBlock_1.BatchNorm_0": (1, 8, 8, 12),
        "LinenBlock_1.Dropout_0": (1, 8, 8, 12),
        "LinenBlock_1": (1, 8, 8, 12),
        "head": (1, 5, 1, 1),
    }
    assert model.preprocess.mean == (0.5, 0.5, 0.5)
    assert not model.preprocess.assumed
    with model.probe(["LinenBlock_1"], (16, 24)) as probe:
        assert probe.unreliable == ()


def test_a_failing_model_names_the_module_and_the_shape() -> None:
    model = open_model("flax:flax_models:ConvolutionalNetwork")
    with pytest.raises(
        ModelFailed, match=r"'hidden' on images of shape \(2, 32, 32, 3\)"
    ):
        model.layers((32, 32))


def test_a_gpu_that_is_not_there_is_unavailable() -> None:
    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("this machine has one")
    with pytest.raises(Unavailable, match="use --device cpu"):
        open_model(SMALL, ModelOptions(device="cuda"))
    with pytest.raises(BadInput, match="no device 'abacus'"):
        open_model(SMALL, ModelOptions(device="abacus"))


def test_half_precision_is_what_the_model_says() -> None:
    network = flax_models.ConvolutionalNetwork(rngs=nnx.Rngs(0))
    nnx.update(
        network,
        jax.tree_util.tree_map(
            lambda array: array.astype("bfloat16"), nnx.state(network, nnx.Param)
        ),
    )
    model: Any = open_model(network)
    # the images are of float32, and so is then what Flax computes
    assert model.precision == "bfloat16 and float32"
    assert model.compute_precision == "float32"
    for layer in (network.first, network.second):
        layer.dtype = jax.numpy.bfloat16
    model = open_model(network)
    assert model.compute_precision == "bfloat16"
    with model.probe(["second"], flax_models.SIZE) as probe:
        maps = probe(torch.rand(2, 3, *flax_models.SIZE))["second"]
    assert maps.dtype == torch.bfloat16
    with pytest.raises(BadInput, match="computes in bfloat16"):
        open_model(network, ModelOptions(precision="float32"))
