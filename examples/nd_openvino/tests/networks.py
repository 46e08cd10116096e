"""Small networks of PyTorch, and files of what OpenVINO makes of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
import torch
from openvino import opset13
from openvino.preprocess import PrePostProcessor
from torch import Tensor, nn

SIZE = (48, 64)
MEAN = (123.0, 117.0, 104.0)  # of pixels
SCALE = (58.0, 57.0, 56.0)


class Branches(nn.Module):
    """Convolutions, depthwise and transposed; branches that are joined, added and resized."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 5, padding=4, dilation=2, groups=8)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.transposed = nn.ConvTranspose2d(16, 6, 3, stride=2, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.padding = nn.ZeroPad2d((1, 2, 3, 0))
        self.head = nn.Linear(16, 5)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores, and maps of two further ends."""
        stem = self.stem(images).relu()
        depthwise = self.depthwise(stem)
        resized = self.up(self.pool(stem))
        joined = torch.cat([depthwise + resized, stem], dim=1)
        first, _ = joined[:, :, 1:].chunk(2, dim=1)
        ends = self.transposed(joined), self.padding(self.shuffle(first))
        return (self.head(joined.mean((2, 3))), *ends)


class Attention(nn.Module):
    """Patches as tokens that attend to each other, behind a token of no patch."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.norm = nn.LayerNorm(16)
        self.queries = nn.Linear(16, 16)
        self.register_buffer("token", torch.randn(1, 1, 16))

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens (image, token, unit)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        first = self.token.expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        queries = self.queries(self.norm(tokens))
        mixing = (queries @ queries.transpose(1, 2)).softmax(-1)
        return tokens + 0.1 * mixing @ tokens


def built(network: type[nn.Module]) -> nn.Module:
    """Build a network with random weights that are always the same."""
    torch.manual_seed(0)
    return network().eval()


def convert(network: nn.Module, shape: list[int], size: tuple[int, int]) -> Any:
    """Convert a network for inputs of a shape, in which -1 is open; traced on images of a size."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer
        return openvino.convert_model(
            network,
            input=openvino.PartialShape(shape),
            example_input=torch.rand(2, 3, *size),
        )


def save(model: Any, path: Path, **options: Any) -> str:
    """Save a model in single precision; return its path as a text."""
    openvino.save_model(model, path, **{"compress_to_fp16": False, **options})
    return str(path)


class Graph:
    """Graph of OpenVINO's own operations on an image, each of which has a name."""

    def __init__(self, shape: list[int]) -> None:
        self.image = opset13.parameter(shape, np.float32, name="image")
        self.random = np.random.default_rng(0)
        self.ends: list[Any] = []

    def numbers(self, *shape: int) -> Any:
        """Return random weights."""
        return self.random.standard_normal(shape).astype(np.float32)

    def integers(self, *values: int) -> Any:
        """Return a constant of integers."""
        return opset13.constant(np.array(values, np.int64))

    def convolution(
        self, value: Any, units: int, name: str, stride: int = 1
    ) -> Any:
        """Append a convolution of 3x3 cells, which keeps the size but for its stride."""
        channels = value.get_output_partial_shape(0)[1].get_length()
        weights = self.numbers(units, channels, 3, 3)
        strides = [stride, stride]
        return opset13.convolution(
            value, weights, strides, [1, 1], [1, 1], [1, 1], name=name
        )

    def end(self, value: Any) -> None:
        """Let the model return a value."""
        self.ends.append(opset13.result(value))

    def build(self) -> Any:
        """Return the model."""
        return openvino.Model(self.ends, [self.image], "graph")


def fixed_batch(count: int, declared: int) -> Any:
    """Build a model whose shapes are those of a number of images, whatever it declares."""
    graph = Graph([declared, 3, 32, 32])
    maps = graph.convolution(graph.image, 6, "conv", stride=2)
    tokens = opset13.reshape(
        maps, graph.integers(count, 6, 256), False, name="tokens"
    )
    again = opset13.reshape(
        tokens, graph.integers(count, 6, 16, 16), False, name="maps"
    )
    graph.end(opset13.relu(again, name="relu"))
    return graph.build()


def fixed_size() -> Any:
    """Build a model with weights for each place, which takes images of 32x32 pixels only."""
    graph = Graph([-1, 3, 32, 32])
    maps = graph.convolution(graph.image, 4, "conv", stride=4)
    placed = opset13.add(maps, graph.numbers(1, 4, 8, 8), name="placed")
    graph.end(opset13.relu(placed, name="relu"))
    return graph.build()


def quantised() -> Any:
    """Build a model in which values and weights are rounded to 8 bits, as NNCF does."""
    graph = Graph([-1, 3, -1, -1])
    low, high = np.float32(0), np.float32(1)
    rounded = opset13.fake_quantize(
        graph.image, low, high, low, high, 256, name="rounded"
    )
    weights = opset13.constant(quantised_weights())
    scaled = opset13.multiply(opset13.convert(weights, "f32"), np.float32(1 / 127))
    maps = opset13.convolution(
        rounded, scaled, [2, 2], [1, 1], [1, 1], [1, 1], name="conv"
    )
    graph.end(opset13.relu(maps, name="relu"))
    return graph.build()


def quantised_weights() -> npt.NDArray[np.int8]:
    """Return the integers of its weights, which are in 1/127."""
    random = np.random.default_rng(1)
    return random.integers(-127, 128, (8, 3, 3, 3)).astype(np.int8)


def many_operations() -> Any:
    """Build a model of operations that move, widen and thin out cells in unlike ways."""
    graph = Graph([-1, 3, -1, -1])
    stem = graph.convolution(graph.image, 8, "stem", stride=2)
    same = opset13.max_pool(
        stem, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3], auto_pad="same_lower"
    )
    pads = graph.integers(0, 0, 2, 1), graph.integers(0, 0, 0, 3)
    named = {
        "max": opset13.convert(same.output(0), "f32"),
        "average": opset13.avg_pool(
            stem, [2, 3], [0, 1], [1, 0], [2, 3], True, auto_pad="explicit"
        ),
        "adaptive": opset13.adaptive_avg_pool(stem, graph.integers(5, 8)),
        "nearest": opset13.interpolate(
            stem,
            opset13.constant(np.array([2.0, 2.0], np.float32)),
            "nearest",
            "scales",
            axes=graph.integers(2, 3),
        ),
        "corners": opset13.interpolate(
            stem,
            graph.integers(20, 31),
            "linear",
            "sizes",
            coordinate_transformation_mode="align_corners",
            axes=graph.integers(2, 3),
        ),
        "padded": opset13.pad(stem, pads[0], pads[1], "edge"),
        "upscaled": opset13.convolution_backprop_data(
            stem,
            opset13.constant(graph.numbers(8, 4, 4, 4)),
            [2, 2],
            pads_begin=[1, 1],
            pads_end=[1, 1],
            dilations=[1, 1],
            auto_pad="explicit",
        ),
        "strided": opset13.strided_slice(
            stem,
            graph.integers(0, 0, 1, 0),
            graph.integers(0, 0, 0, 0),
            graph.integers(1, 1, 2, 1),
            [1, 1, 0, 1],
            [1, 1, 1, 1],
        ),
        "sliced": opset13.slice(
            stem,
            graph.integers(2, 1),
            graph.integers(1000, 1000),
            graph.integers(1, 3),
            graph.integers(2, 3),
        ),
        "gathered": opset13.gather(
            stem, graph.integers(7, 0, 1), graph.integers(1)
        ),
        "blocks": opset13.space_to_depth(stem, "blocks_first", 2),
        "dense": opset13.depth_to_space(stem, "depth_first", 2),
        "grouped": opset13.group_convolution(
            stem, graph.numbers(2, 4, 4, 5, 3), [1, 2], [2, 1], [2, 1], [1, 1]
        ),
        "last": opset13.transpose(stem, graph.integers(0, 2, 3, 1)),
    }
    for name, value in named.items():
        value.set_friendly_name(name)
        graph.end(value)
    return graph.build()


def taking_bytes(model: Any) -> Any:
    """Build normalisation into a model, whose input then takes bytes (N, H, W, C)."""
    builder = PrePostProcessor(model)
    tensor = builder.input().tensor()
    tensor.set_element_type(openvino.Type.u8)
    tensor.set_layout(openvino.Layout("NHWC"))
    builder.input().model().set_layout(openvino.Layout("NCHW"))
    steps = builder.input().preprocess()
    steps.convert_element_type(openvino.Type.f32).mean(list(MEAN)).scale(
        list(SCALE)
    )
    return builder.build()


def normalising(model: Any) -> Any:
    """Build normalisation into a model, whose input takes pixels as floats."""
    builder = PrePostProcessor(model)
    builder.input().model().set_layout(openvino.Layout("NCHW"))
    builder.input().preprocess().mean(list(MEAN)).scale(list(SCALE))
    return builder.build()
