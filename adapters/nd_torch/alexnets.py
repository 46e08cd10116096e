"""AlexNets of the paper as Caffe has them: layers, names and preprocessing of CaffeNet's prototxt.

The variants are those of sections 3.6 and 3.8; docs/experiments.md says what the paper states of
each and what had to be chosen.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, nn

# of ImageNet's training images, as Caffe subtracts it: blue, green, red
CAFFE_MEAN = (104.00698793, 116.66876762, 122.67891434)
CAFFE_PREPROCESSING = {
    "input_size": (3, 227, 227),
    "mean": CAFFE_MEAN,
    "std": (1.0, 1.0, 1.0),
    "scale": 1.0,
    "channel_order": "bgr",
    "interpolation": "bilinear",
}
FEATURE_SIDE = 6  # rows and columns of pool5, for images of 227 pixels
# standard deviation of random weights, and the layers whose biases are 1 and not 0
CONVOLUTION_STD = 0.01
HIDDEN_STD = 0.005
BIASES_OF_ONE = ("conv2", "conv4", "conv5", "fc6", "fc7")

NamedLayer = tuple[str, nn.Module]


@dataclass(frozen=True)
class Design:
    """What distinguishes one AlexNet from another."""

    num_classes: int
    widths: tuple[int, ...] = (96, 256, 384, 384, 256)  # units of conv1 to conv5
    pooled: bool = False  # global average pooling instead of pool5, fc6 and fc7
    batch_norm: bool = False  # between each convolution and its ReLU
    dropout: bool = True
    lrn: bool = True  # local response normalisation
    norm_first: bool = False  # normalisation before pooling, as in bvlc_alexnet


class CaffeAlexNet(nn.Sequential):
    """AlexNet with Caffe's names of layers, for images of 227 pixels: BGR, 0 to 255, less the mean.

    Weights are random, as the fillers of the prototxt draw them, and the same for the same seed.
    """

    def __init__(self, design: Design, seed: int = 0) -> None:
        super().__init__(OrderedDict(_layers(design)))
        self.pretrained_cfg = dict(CAFFE_PREPROCESSING)
        _fill(self, torch.Generator().manual_seed(seed))


def _layers(design: Design) -> Iterator[NamedLayer]:
    widths = design.widths
    yield from _convolution(design, 1, nn.Conv2d(3, widths[0], 11, stride=4))
    yield from _reduction(design, 1)
    conv2 = nn.Conv2d(widths[0], widths[1], 5, padding=2, groups=2)
    yield from _convolution(design, 2, conv2)
    yield from _reduction(design, 2)
    conv3 = nn.Conv2d(widths[1], widths[2], 3, padding=1)
    yield from _convolution(design, 3, conv3)
    for number in (4, 5):
        inputs, outputs = widths[number - 2], widths[number - 1]
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, groups=2)
        yield from _convolution(design, number, convolution)
    yield from _pooled_head(design) if design.pooled else _full_head(design)


def _convolution(
    design: Design, number: int, convolution: nn.Conv2d
) -> Iterator[NamedLayer]:
    yield f"conv{number}", convolution
    if design.batch_norm:
        yield f"bn{number}", nn.BatchNorm2d(convolution.out_channels)
    yield f"relu{number}", nn.ReLU()


def _reduction(design: Design, number: int) -> Iterator[NamedLayer]:
    """Yield max pooling, whose last window may reach beyond the map, and LRN across channels."""
    pool = (f"pool{number}", nn.MaxPool2d(3, stride=2, ceil_mode=True))
    norm = (f"norm{number}", nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1))
    if not design.lrn:
        yield pool
    elif design.norm_first:
        yield from (norm, pool)
    else:
        yield from (pool, norm)


def _full_head(design: Design) -> Iterator[NamedLayer]:
    yield "pool5", nn.MaxPool2d(3, stride=2, ceil_mode=True)
    yield "flatten", nn.Flatten()
    inputs = design.widths[-1] * FEATURE_SIDE**2
    for number in (6, 7):
        yield f"fc{number}", nn.Linear(inputs, 4096)
        yield f"relu{number}", nn.ReLU()
        if design.dropout:
            yield f"drop{number}", nn.Dropout(0.5)
        inputs = 4096
    yield "fc8", nn.Linear(inputs, design.num_classes)


def _pooled_head(design: Design) -> Iterator[NamedLayer]:
    yield "pool5_gap", nn.AdaptiveAvgPool2d(1)
    yield "flatten", nn.Flatten()
    yield "fc8", nn.Linear(design.widths[-1], design.num_classes)


@torch.no_grad()
def _fill(model: nn.Module, generator: Generator) -> None:
    """Draw weights and biases as the fillers of CaffeNet's prototxt do."""
    for name, layer in model.named_children():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        std = HIDDEN_STD if name in ("fc6", "fc7") else CONVOLUTION_STD
        layer.weight.normal_(0.0, std, generator=generator)
        assert layer.bias is not None
        layer.bias.fill_(float(name in BIASES_OF_ONE))
