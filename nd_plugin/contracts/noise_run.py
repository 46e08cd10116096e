"""Run of a model on images of noise that are always the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class NoiseRun:
    """Images of noise, always the same for a size, and the maps that a model gives for them.

    A layer whose maps differ from run to run is not among the maps.
    """

    images: Tensor  # (image, channel, row, column)
    maps: Mapping[str, Tensor]  # (image, unit, row, column), by layer

    @classmethod
    def none(cls) -> NoiseRun:
        """Return a run of no images: maps of such a model are not compared."""
        return cls(torch.empty(0, device="cpu"), {})
