"""The paper's AlexNets: layers as in Caffe's prototxt, preprocessing, widths, random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nd_plugin import LayerDescription, open_model
from nd_plugin.plugins.layer_patterns import choose_layers
from nd_plugin.plugins.suggestions import known_models
from nd_torch import zoo

SIZE = (227, 227)
VARIANTS = (
    "caffe_alexnet",
    "alexnet_gap",
    "alexnet_gap_wide",
    "alexnet_gap_wide_all",
    "alexnet_batch_norm",
    "alexnet_no_dropout",
)
CONVOLUTIONS = [f"conv{number}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def listed() -> dict[str, LayerDescription]:
    layers = open_model("nd_torch.zoo:caffe_alexnet").layers(SIZE)
    return {layer.name: layer for layer in layers}


def test_layers_and_order_are_those_of_the_prototxt(
    listed: dict[str, LayerDescription],
) -> None:
    expected = (
        "conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 conv4 relu4 conv5 relu5 "
        "pool5 flatten fc6 relu6 drop6 fc7 relu7 drop7 fc8"
    )
    assert list(listed) == expected.split()
    shapes = {name: listed[name].shape for name in ("pool1", "pool2", "pool5")}
    assert shapes == {
        "pool1": (1, 96, 27, 27),
        "pool2": (1, 256, 13, 13),
        "pool5": (1, 256, 6, 6),
    }


def test_cells_of_conv5_look_where_caffes_do(
    listed: dict[str, LayerDescription],
) -> None:
    geometry = listed["relu5"].geometry
    assert geometry is not None and geometry.anchored
    rows = geometry.rows
    assert (rows.stride, rows.offset, rows.size) == (16, 17, 163)


def test_weights_are_as_many_as_in_caffe() -> None:
    model = zoo.caffe_alexnet()
    # of bvlc_reference_caffenet.caffemodel
    assert sum(weight.numel() for weight in model.parameters()) == 60_965_224
    assert model.get_parameter("conv2.weight").shape == (256, 48, 5, 5)
    assert model.get_parameter("conv4.weight").shape == (384, 192, 3, 3)
    assert model.get_parameter("conv5.weight").shape == (256, 192, 3, 3)


def test_normalisation_is_caffes() -> None:
    """x_c / (1 + alpha / 5 * sum of x² over five channels) ** beta, as caffe's LRN layer says."""
    generator = torch.Generator().manual_seed(1)
    maps = 40 * torch.rand(2, 9, 3, 4, generator=generator, dtype=torch.float64)
    norm = zoo.caffe_alexnet().get_submodule("norm1")
    values = maps.numpy()
    expected = np.empty_like(values)
    for channel in range(values.shape[1]):
        first = max(channel - 2, 0)
        window = values[:, first : channel + 3]
        total = np.square(window).sum(axis=1)
        scale = (1 + 1e-4 / 5 * total) ** 0.75
        expected[:, channel] = values[:, channel] / scale
    np.testing.assert_allclose(norm(maps).numpy(), expected, rtol=1e-12)


def test_images_are_bgr_pixels_less_the_mean() -> None:
    preprocess = open_model("nd_torch.zoo:caffe_alexnet").preprocess
    assert not preprocess.assumed
    assert preprocess.size == SIZE
    red = Image.new("RGB", (227, 227), (250, 0, 0))
    image = preprocess.normalise(preprocess.resize(red)[None])[0]
    means = torch.tensor([104.00698793, 116.66876762, 122.67891434])
    expected = torch.tensor([0.0, 0.0, 250.0]) - means
    torch.testing.assert_close(image[:, 0, 0], expected)


def test_pools_keep_the_last_incomplete_window() -> None:
    """Of a map of 56 cells Caffe's pooling of 3 in steps of 2 makes 28, torch's default 27."""
    pool = zoo.caffe_alexnet().get_submodule("pool1")
    assert pool(torch.zeros(1, 1, 56, 56)).shape == (1, 1, 28, 28)


def test_normalisation_before_pooling_as_in_bvlc_alexnet() -> None:
    names = [
        name for name, _ in zoo.caffe_alexnet(norm_first=True).named_children()
    ]
    assert names[:4] == ["conv1", "relu1", "norm1", "pool1"]


@pytest.mark.parametrize(
    ("variant", "widths", "head"),
    [
        ("alexnet_gap", [96, 256, 384, 384, 256], "pool5_gap flatten fc8"),
        ("alexnet_gap_wide", [96, 256, 384, 384, 768], "pool5_gap flatten fc8"),
        (
            "alexnet_gap_wide_all",
            [96, 768, 1152, 1152, 768],
            "pool5_gap flatten fc8",
        ),
        (
            "alexnet_no_dropout",
            [96, 256, 384, 384, 256],
            "pool5 flatten fc6 relu6 fc7 relu7 fc8",
        ),
    ],
)
def test_variants(variant: str, widths: list[int], head: str) -> None:
    model = getattr(zoo, variant)()
    names = [name for name, _ in model.named_children()]
    outputs = [len(model.get_parameter(f"{name}.weight")) for name in CONVOLUTIONS]
    assert outputs == widths
    assert names[names.index("relu5") + 1 :] == head.split()


def test_options_of_variants() -> None:
    wide = open_model("nd_torch.zoo:alexnet_gap_wide?conv5=1024&num_classes=7")
    shapes = {layer.name: layer.shape for layer in wide.layers(SIZE)}
    assert shapes["relu5"] == (1, 1024, 13, 13)
    assert shapes["fc8"] == (1, 7, 1, 1)


def test_batch_normalisation_stands_before_each_relu() -> None:
    names = [name for name, _ in zoo.alexnet_batch_norm().named_children()]
    for number in range(1, 6):
        start = names.index(f"conv{number}")
        expected = [f"conv{number}", f"bn{number}", f"relu{number}"]
        assert names[start : start + 3] == expected
    assert "norm1" in names
    without = [
        name for name, _ in zoo.alexnet_batch_norm(lrn=False).named_children()
    ]
    assert "norm1" not in without and "norm2" not in without


def test_without_dropout_the_function_is_the_same_at_test_time(
    images: Tensor,
) -> None:
    images = nn.functional.interpolate(images, SIZE)
    plain = zoo.caffe_alexnet(num_classes=5).eval()
    without = zoo.alexnet_no_dropout(num_classes=5).eval()
    with torch.no_grad():
        assert torch.equal(plain(images), without(images))
    assert not torch.equal(plain.train()(images), without.train()(images))


def test_random_weights_are_those_of_the_fillers_and_of_the_seed() -> None:
    first, again, other = (zoo.alexnet_gap(seed=seed) for seed in (0, 0, 1))
    weights = [
        model.get_parameter("conv3.weight") for model in (first, again, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    # 884,736 numbers: the deviation of their deviation is 0.01 / 1330
    assert float(weights[0].detach().std()) == pytest.approx(0.01, abs=5e-5)
    biases = {
        name: set(first.get_parameter(f"{name}.bias").tolist())
        for name in CONVOLUTIONS
    }
    assert biases == {
        "conv1": {0.0},
        "conv2": {1.0},
        "conv3": {0.0},
        "conv4": {1.0},
        "conv5": {1.0},
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_papers_layer_is_conv5_after_its_relu(variant: str) -> None:
    opened = open_model(f"nd_torch.zoo:{variant}")
    assert choose_layers(opened, ["paper"], SIZE) == ["relu5"]


def test_they_are_known_by_name() -> None:
    known = known_models(installed=True)
    for variant in VARIANTS:
        assert f"nd_torch.zoo:{variant}" in known
    assert all(
        hasattr(zoo, text.partition(":")[2])
        for text in known
        if text.startswith("nd_torch.zoo:")
    )
