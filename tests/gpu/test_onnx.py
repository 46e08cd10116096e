"""ONNX Runtime on CUDA: outputs stay on the device, in order with the kernels of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exact_network import LAYERS, PREPROCESS, SIZE, ExactNetwork

from nd_plugin import ModelOptions, Settings, open_concepts, open_model
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

BATCHES = (8, 3, 8, 1, 5)
REPETITIONS = 20


@pytest.fixture
def exact_file(tmp_path: Path) -> str:
    """The exact network as a file; its values are named as the layers."""
    from onnx import helper
    from small_models import model_of

    network = ExactNetwork()
    weights: dict[str, Any] = {"low": np.float32(0), "high": np.float32(8)}
    for name in ("near", "middle", "far"):
        layer = getattr(network, name)
        weights[f"{name}.weight"] = layer.weight.detach().numpy()
        weights[f"{name}.bias"] = layer.bias.detach().numpy()

    def convolution(source: str, name: str, kernel: int) -> Any:
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return helper.make_node(
            "Conv", inputs, [name], strides=[kernel] * 2, kernel_shape=[kernel] * 2
        )

    nodes = [
        convolution("image", "near", 4),
        helper.make_node("Relu", ["near"], ["near_rectified"]),
        convolution("near_rectified", "middle", 2),
        helper.make_node("Clip", ["middle", "low", "high"], ["clipped"]),
        convolution("clipped", "far", 1),
        helper.make_node("Relu", ["far"], ["rectified"]),
    ]
    path = tmp_path / "exact.onnx"
    onnx.save(model_of(nodes, weights, ("N", 3, *SIZE)), path)
    return str(path)


@pytest.fixture
def options(gpu: torch.device) -> ModelOptions:
    """Options that open a model on the GPU; ONNX Runtime has to be built for it."""
    from nd_onnxruntime.sessions import cuda_problem

    if gpu.type == "cuda" and cuda_problem():
        pytest.skip(f"ONNX Runtime without CUDA: {cuda_problem()}")
    return ModelOptions(str(gpu))


def test_maps_are_those_of_torch_whatever_else_the_gpu_does(
    gpu: torch.device, exact_file: str, options: ModelOptions
) -> None:
    """Pixels are still computed when a run is told to start, and maps are read long after."""
    generator = torch.Generator().manual_seed(0)
    network = ExactNetwork().eval()
    model = open_model(exact_file, options)
    busy = torch.rand(1024, 1024, device=gpu)
    results = []
    with model.probe(LAYERS, SIZE) as probe, torch.no_grad():
        for number in range(REPETITIONS):
            count = BATCHES[number % len(BATCHES)]
            pixels = torch.randint(0, 256, (count, 3, *SIZE), generator=generator)
            batch = pixels.to(torch.uint8)
            for _ in range(20):
                busy = (busy @ busy).sigmoid()
            delay = (busy.sum() * 0).to(torch.uint8)
            maps = probe(PREPROCESS.normalise(batch.to(gpu) + delay))
            totals = [maps[layer].double().sum((2, 3)) for layer in LAYERS]
            results.append((batch, totals))
        for batch, totals in results:
            images = PREPROCESS.normalise(batch)
            near = network.near(images)
            middle = network.middle(near.relu())
            rectified = network(images)
            for total, maps in zip(totals, (near, middle, rectified), strict=True):
                assert total.cpu().equal(maps.double().sum((2, 3)))


def test_maps_are_on_the_device(
    gpu: torch.device, exact_file: str, options: ModelOptions
) -> None:
    model = open_model(exact_file, options)
    with model.probe(["rectified"], SIZE) as probe:
        maps = probe(torch.zeros(2, 3, *SIZE, device=gpu))["rectified"]
    assert maps.device.type == gpu.type and model.device.type == gpu.type


def test_a_dissection_equals_that_of_torch(
    gpu: torch.device, exact_file: str, options: ModelOptions
) -> None:
    concepts = open_concepts("shapes?images=40")
    results = []
    for model in (
        open_model(ExactNetwork().eval()),
        open_model(exact_file, options),
    ):
        feed = Feed.of(
            concepts,
            PREPROCESS,
            Settings(),
            model.device,
            batch_size=16,
            workers=0,
        )
        results.append(run(model, LAYERS, feed))
    for origin, file in zip(*results, strict=True):
        np.testing.assert_array_equal(file.thresholds, origin.thresholds)
        np.testing.assert_array_equal(file.intersection, origin.intersection)
        np.testing.assert_array_equal(file.unit_area, origin.unit_area)
    assert results[1][0].provenance.precision == "float32"
