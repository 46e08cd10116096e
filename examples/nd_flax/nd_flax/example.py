"""Small model for examples and tests: convolutions, a residual block, attention, a linear head."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import jax
from flax import nnx

from nd_plugin import Preprocess

UNIT_RANGE = Preprocess(
    size=(48, 64), mean=(0.5,) * 3, std=(0.5,) * 3, source="SmallNetwork's own"
)


class Residual(nnx.Module):
    """Convolution and batch norm, added to what they get."""

    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(width, width, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, maps: jax.Array) -> jax.Array:
        """Return maps (image, row, column, unit)."""
        return nnx.relu(maps + self.drop(self.norm(self.conv(maps))))


class SmallNetwork(nnx.Module):
    """Network of random weights for images (image, row, column, channel)."""

    preprocess: ClassVar[Preprocess] = UNIT_RANGE

    def __init__(self, width: int = 16, *, rngs: nnx.Rngs) -> None:
        self.stem = nnx.Conv(3, width, (5, 5), strides=(2, 2), rngs=rngs)
        self.block = Residual(width, rngs=rngs)
        self.patches = nnx.Conv(
            width, width, (4, 4), strides=(4, 4), padding="VALID", rngs=rngs
        )
        self.attention = nnx.MultiHeadAttention(2, width, decode=False, rngs=rngs)
        self.head = nnx.Linear(width, 10, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Return ten numbers for each image."""
        maps = nnx.relu(self.stem(images))
        maps = self.block(nnx.max_pool(maps, (2, 2), strides=(2, 2)))
        patches = self.patches(maps)
        count, rows, columns, units = patches.shape
        tokens = patches.reshape(count, rows * columns, units)
        return self.head((tokens + self.attention(tokens)).mean(1))


def example(folder: Path) -> str:
    """Return the text of a small model, which needs no files in the folder."""
    del folder
    return "flax:nd_flax.example:SmallNetwork?width=8"
