"""Small convolutional networks, like AlexNet: four convolutional layers and two others."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from nd_plugin import Preprocess

LAYERS = ("relu1", "relu2", "relu3", "relu4")  # from the first to the last
STRIDE = 8  # pixels from a cell of the last layers to the next
HIDDEN = 128  # units of the layer behind the convolutional ones
DROPOUT = 0.5
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Architecture:
    """What one network has and another has not."""

    units: int = 64  # of the last two convolutional layers
    batch_norm: bool = False
    dropout: bool = True
    grey: bool = False  # whether the network sees the luma of its images only


def preprocess_of(size: int) -> Preprocess:
    """Return the preprocessing of all these networks: pixels from -1 to 1."""
    half = (0.5, 0.5, 0.5)
    return Preprocess((size, size), mean=half, std=half)


class Network(nn.Module):
    """Convolutional features, and a head of two layers for a picture or for each cell."""

    def __init__(
        self, architecture: Architecture, size: int, outputs: int, per_cell: bool
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(_features(architecture))
        cells = size // STRIDE
        self.head = _head(architecture, cells, outputs, per_cell)

    def forward(self, images: Tensor) -> Tensor:
        """Return outputs (image, output), or (image, output, row, column)."""
        outputs: Tensor = self.head(self.features(images))
        return outputs


def open_network(
    units: int,
    batch_norm: bool,
    dropout: bool,
    grey: bool,
    size: int,
    outputs: int,
    per_cell: bool,
) -> Network:
    """Return an untrained network: what weights are loaded into.

    ``nd evolve 'reproduce.networks:open_network?units=64&…' FOLDER`` takes it by this name.
    """
    architecture = Architecture(units, batch_norm, dropout, grey)
    return Network(architecture, size, outputs, per_cell)


def network_text(
    architecture: Architecture, size: int, outputs: int, per_cell: bool
) -> str:
    """Return the text that names a network, for ``nd`` and `open_model`."""
    options = {
        **asdict(architecture),
        "size": size,
        "outputs": outputs,
        "per_cell": per_cell,
    }
    text = "&".join(f"{name}={value}" for name, value in options.items())
    return f"{__name__}:open_network?{text}"


def _features(architecture: Architecture) -> OrderedDict[str, nn.Module]:
    """Return the convolutional layers by name: conv1, norm1, relu1, pool1, …"""
    units = architecture.units
    channels = (1 if architecture.grey else 3, units // 4, units // 2, units, units)
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    if architecture.grey:
        modules["grey"] = grey_filter()
    for number in range(1, len(channels)):
        kernel, stride = (5, 2) if number == 1 else (3, 1)
        modules[f"conv{number}"] = nn.Conv2d(
            channels[number - 1], channels[number], kernel, stride, kernel // 2
        )
        if architecture.batch_norm:
            modules[f"norm{number}"] = nn.BatchNorm2d(channels[number])
        modules[f"relu{number}"] = nn.ReLU()
        if number <= 2:
            modules[f"pool{number}"] = nn.MaxPool2d(2)
    return modules


def grey_filter() -> nn.Conv2d:
    """Return the convolution that makes one channel of luma from three; it is not trained."""
    luma = nn.Conv2d(3, 1, 1, bias=False)
    weights = torch.tensor(LUMA).view(1, 3, 1, 1)
    luma.weight = nn.Parameter(weights, requires_grad=False)
    return luma


def _head(
    architecture: Architecture, cells: int, outputs: int, per_cell: bool
) -> nn.Sequential:
    """Return the layers behind the convolutional ones."""
    dropout = nn.Dropout(DROPOUT if architecture.dropout else 0.0)
    if per_cell:
        return nn.Sequential(
            nn.Conv2d(architecture.units, HIDDEN, 1),
            nn.ReLU(),
            dropout,
            nn.Conv2d(HIDDEN, outputs, 1),
        )
    pooled_cells = (cells // 2) ** 2
    return nn.Sequential(
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(architecture.units * pooled_cells, HIDDEN),
        nn.ReLU(),
        dropout,
        nn.Linear(HIDDEN, outputs),
    )
