"""Small network on which the backend itself is checked (``nd plugins --check torch``)."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn


def example(folder: Path) -> nn.Module:
    """Return a small network with a linear head; nothing is written."""
    layers = OrderedDict(
        conv1=nn.Conv2d(3, 16, 4, 4),
        norm=nn.BatchNorm2d(16),
        relu=nn.ReLU(inplace=True),
        drop=nn.Dropout(),
        conv2=nn.Conv2d(16, 16, 3, padding=1),
        pool=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        fc=nn.Linear(16, 4),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(layers)
        for module in network:
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=0.2)
    return network
