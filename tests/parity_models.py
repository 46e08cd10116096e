"""An ONNX file of `onnx_files` and its origin in torch, for comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn


class Origin(nn.Module):
    """The hard files' network in torch, of the same weights."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        weights = {
            initializer.name: torch.tensor(numpy_helper.to_array(initializer))
            for initializer in onnx.load(path).graph.initializer
        }
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 12, 3, 2, 1)
        self.relu1, self.pool1, self.relu2, self.fc = (
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.ReLU(),
            nn.Linear(12, 5),
        )
        weights["fc.weight"] = weights["fc.weight"].T
        self.load_state_dict(weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.conv2(self.pool1(self.relu1(self.conv1(x)))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


@dataclass(frozen=True)
class Files:
    """An ONNX file and its origin, as texts for the command line."""

    folder: Path
    onnx: str
    origin: str
