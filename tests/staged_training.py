"""Training with planted changes: units select channels, and channels of images are concepts.

Red pixels carry the colour "red", green ones the shape "square", blue ones the shape "circle"; each
channel is on in a quarter of the pixels of an image or less. A unit that selects a channel detects
its concept exactly, at τ = 0.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper
from PIL import Image
from safetensors.torch import save_file
from small_models import model_of
from torch import nn

from nd_plugin import Settings

CHANNELS = "RGB"
CONCEPTS = {"R": "red", "G": "square", "B": "circle"}
QUANTILE = 0.3
SIZE = 32
VALUES = {
    "size": (SIZE, SIZE),
    "mean": (0.0,) * 3,
    "std": (1.0,) * 3,
    "scale": 1 / 255,
}
SETTINGS = Settings(QUANTILE, pictures=0)
# channel of each unit, stage by stage: unit 0 stays, 1 changes its shape, 2 turns from colour to
# shape, 3 is gained and lost
STAGES = {2: "RGR-", 10: "RBRG", 100: "RBG-"}
MODEL = "staged_training:build"


def build() -> nn.Module:
    """Network of one layer, ``0``, with four units."""
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())


def kernel(channels: str) -> torch.Tensor:
    """Weights of units that select channels; a unit of ``-`` is the same everywhere."""
    weights = torch.zeros(len(channels), 3, 1, 1)
    for unit, channel in enumerate(channels):
        if channel in CHANNELS:
            weights[unit, CHANNELS.index(channel)] = 1.0
    return weights


def save_weights(path: Path, channels: str) -> Path:
    """Save the weights of a stage: safetensors, or a state dict, by the ending."""
    state = {"0.weight": kernel(channels), "0.bias": torch.zeros(len(channels))}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def save_stages(folder: Path, name: str = "epoch_{}.pt") -> list[Path]:
    """Save the weights of all stages."""
    return [
        save_weights(folder / name.format(step), channels)
        for step, channels in STAGES.items()
    ]


def save_onnx(path: Path, channels: str) -> Path:
    """Save a stage as a model of its own, with the layer ``maps``."""
    node = helper.make_node("Conv", ["image", "weight"], ["maps"], name="conv")
    last = helper.make_node("Relu", ["maps"], ["out"], name="relu")
    weights = {"weight": kernel(channels).numpy()}
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model_of([node, last], weights, ("N", 3, SIZE, SIZE)), path)
    return path


def save_probe_set(root: Path, images: int = 6) -> str:
    """Save images and masks in the masks format; return what opens them."""
    random = np.random.default_rng(3)
    (root / "images").mkdir(parents=True)
    rows = ["category,value,name"]
    for channel, concept in CONCEPTS.items():
        category = "color" if concept == "red" else "shape"
        rows.append(f"{category},{1 + CHANNELS.index(channel)},{concept}")
        (root / "masks" / category).mkdir(parents=True, exist_ok=True)
    for index in range(images):
        pixels = _draw(random)
        Image.fromarray(pixels).save(root / "images" / f"{index}.png")
        _save_masks(root / "masks", index, pixels)
    (root / "concepts.csv").write_text("\n".join(rows) + "\n")
    return f"masks:{root}"


def _draw(random: np.random.Generator) -> np.ndarray:
    """Draw a rectangle of each channel, in columns of its own; a quarter of the picture at most."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    for channel in range(3):
        top = int(random.integers(0, 8))
        height = int(random.integers(12, 24))
        left = channel * 10 + 1
        pixels[top : top + height, left : left + 9, channel] = 255
    return pixels


def _save_masks(folder: Path, index: int, pixels: np.ndarray) -> None:
    red, green, blue = np.moveaxis(pixels, 2, 0)
    color = np.where(red > 0, 1, 0).astype(np.uint8)
    shape = np.where(green > 0, 2, np.where(blue > 0, 3, 0)).astype(np.uint8)
    Image.fromarray(color).save(folder / "color" / f"{index}.png")
    Image.fromarray(shape).save(folder / "shape" / f"{index}.png")


def concepts_of(channels: str) -> Sequence[str]:
    """Concepts that the units of a stage detect; "" for none."""
    return [CONCEPTS.get(channel, "") for channel in channels]
