"""Precision on a GPU: float32 is exact unless another is chosen, and the user's settings stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from exact_network import PREPROCESS, SIZE, ExactNetwork
from torch import Tensor, nn

from nd_plugin import (
    Dissection,
    LayerDissection,
    ModelFailed,
    ModelOptions,
    Preprocess,
    Settings,
    open_concepts,
    open_model,
)
from nd_plugin.experiments.parity import parity
from nd_plugin.probe_data.batches import Feed

pytestmark = pytest.mark.filterwarnings("ignore:.*new API settings")

# TF32 and float16 have ten bits of a mantissa, bfloat16 has seven; of the largest activation
ERRORS = {"tf32": 2**-9, "float16": 2**-9, "bfloat16": 2**-6}
# of 24 bits, over sums of a thousand products, by Winograd's algorithm too
FULL = 2**-15
IMAGES = 24


@pytest.fixture(autouse=True)
def torch_as_before() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")


class Network(nn.Module):
    """Convolutions and a product of matrices, whose sums lose bits in TF32."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 256, 3, 2, 1)
        self.second = nn.Conv2d(256, 64, 3, 1, 1)
        self.product = nn.Linear(64, 64)
        self.classes = nn.Linear(64, 5)

    def forward(self, images: Tensor) -> Tensor:
        second = self.second(self.first(images).relu())
        tokens = second.flatten(2).transpose(1, 2)
        return self.classes(self.product(tokens).mean(1))


def network_on(device: torch.device) -> Network:
    return Network().eval().to(device)


def maps(model: Any, layer: str, images: Tensor) -> Tensor:
    size = (int(images.shape[2]), int(images.shape[3]))
    with model.probe([layer], size) as probe:
        return probe(images)[layer].double().cpu()


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(4, 3, 64, 64, generator=generator) - 0.5


@pytest.mark.parametrize("layer", ["second", "product"])
def test_float32_is_full_and_others_are_coarser(
    real_gpu: torch.device, images: Tensor, layer: str
) -> None:
    network = network_on(real_gpu)
    images = images.to(real_gpu)
    expected = maps(open_model(network.double()), layer, images)
    network.float()
    largest = float(expected.abs().max())

    def error(precision: str | None) -> float:
        model = open_model(network, ModelOptions(precision=precision))
        assert model.compute_precision == (precision or "float32")  # type: ignore[attr-defined]
        difference = maps(model, layer, images) - expected
        return float(difference.abs().max()) / largest

    assert error(None) < FULL and error("float32") < FULL
    for precision, bound in ERRORS.items():
        assert FULL < error(precision) < bound, precision


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("products", ["high", "highest"])
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_the_users_settings_are_restored(
    real_gpu: torch.device,
    images: Tensor,
    precision: str,
    products: str,
    fails: bool,
) -> None:
    torch.set_float32_matmul_precision(products)
    network = network_on(real_gpu)
    exact = torch.rand(512, 512, device=real_gpu)

    def product() -> Tensor:
        return exact @ exact

    expected = product()
    settings = float32_settings()
    failures: list[bool] = []

    def fail(*_: Any) -> None:
        if failures:
            raise RuntimeError("a planned failure")

    network.first.register_forward_hook(fail)
    model = open_model(network, ModelOptions(precision=precision))
    with model.probe(["second"], (64, 64)) as probe:
        assert float32_settings() == settings
        if fails:
            failures.append(True)
            with pytest.raises(ModelFailed, match="a planned failure"):
                probe(images.to(real_gpu))
        else:
            probe(images.to(real_gpu))
        assert float32_settings() == settings
        assert product().equal(expected)
    assert float32_settings() == settings
    assert not torch.is_autocast_enabled("cuda")


def float32_settings() -> list[Any]:
    """Return torch's settings, read as the user's code would read them."""
    settings = [
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.get_float32_matmul_precision(),
    ]
    if hasattr(torch.backends, "fp32_precision"):
        settings += [
            torch.backends.fp32_precision,
            torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
            torch.backends.cuda.matmul.fp32_precision,
        ]
    return settings


@pytest.mark.parametrize("precision", [None, "tf32", "float16", "bfloat16"])
def test_a_dissection_says_its_precision(
    real_gpu: torch.device, precision: str | None
) -> None:
    units = LayerDissection(network_on(real_gpu), "second")
    concepts = open_concepts(f"shapes?images={IMAGES}")
    preprocess = Preprocess(size=(64, 64), mean=(0.5,) * 3, std=(0.5,) * 3)
    result = units.dissect(
        concepts, precision=precision, preprocess=preprocess, workers=0
    )
    assert isinstance(result, Dissection)
    computed = precision or "float32"
    assert result.provenance.precision == computed
    assert result.report().facts["model"].endswith(f", {computed})")
    # coarse arithmetic is not mistaken for a dependence on the batch
    assert not [note for note in result.notes if "one at a time" in note]


def test_an_exact_network_is_the_same_in_every_precision_that_holds_its_numbers(
    gpu: torch.device,
) -> None:
    """Its first layer: pixels of eight bits, weights of three, sums in float32."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (4, 3, *SIZE), generator=generator)
    images = PREPROCESS.normalise(pixels.to(torch.uint8))
    expected = maps(open_model(ExactNetwork().eval()), "near", images)
    network = ExactNetwork().eval().to(gpu)
    for precision in [None, "float32", *(["tf32"] if gpu.type == "cuda" else [])]:
        model = open_model(network, ModelOptions(precision=precision))
        assert maps(model, "near", images.to(gpu)).equal(expected), precision


def test_both_sides_of_a_comparison_have_one_precision(
    real_gpu: torch.device,
) -> None:
    network = network_on(real_gpu)
    first = open_model(network)
    second = open_model(network, ModelOptions(precision="tf32"))
    concepts = open_concepts(f"shapes?images={IMAGES}")
    preprocess = Preprocess(size=(64, 64), mean=(0.5,) * 3, std=(0.5,) * 3)

    def compare(model: Any, origin: Any) -> Any:
        feed = Feed.of(
            concepts, preprocess, Settings(), real_gpu, batch_size=8, workers=0
        )
        return parity(model, origin, [("second", "second")], feed)

    assert compare(first, first).layers[0].difference == 0
    mixed = compare(first, second)
    assert mixed.layers[0].difference > 0
    sides = (mixed.model.compute_precision, mixed.origin.compute_precision)
    assert sides == ("float32", "tf32")


def test_labels_of_a_real_network_are_those_of_a_cpu(
    gpu: torch.device, real_data: Any
) -> None:
    """EfficientNet-Lite0 in full float32: sums differ in the last bits, and no label does."""
    pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the extra 'demo' is not installed"
    )
    concepts = open_concepts(f"broden:{real_data / 'broden_camvid'}")
    results = []
    for device in (torch.device("cpu"), gpu):
        model = open_model(
            "nd_torch.zoo:efficientnet_lite0", ModelOptions(str(device))
        )
        result = LayerDissection(model, "_bn1").dissect(concepts, workers=2)
        assert isinstance(result, Dissection)
        results.append(result)
    on_cpu, on_gpu = results
    np.testing.assert_array_equal(on_gpu.labels, on_cpu.labels)
    # a pixel at its threshold may be in one mask and not in the other
    assert float(np.abs(on_gpu.iou - on_cpu.iou).max()) < 1e-3
    assert len(on_gpu.detectors()) == len(on_cpu.detectors())
