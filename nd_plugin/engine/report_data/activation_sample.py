"""Sample of a layer's activations, for histograms: some cells of each of some images.

The images are the first ones of the random order of the probe data set, and the cells of an image
are chosen whatever their value: the sample is a fair one, and the same for any division into parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nd_plugin.machine.transfers import to_device
from nd_plugin.method.lower_bound import GOLDEN_RATIO
from nd_plugin.probe_data.batches import shuffled
from nd_plugin.results.activation_histograms import ActivationHistograms

MOST_VALUES = 2**12  # of a unit
LEAST_VALUES = 2**8  # of a unit
MOST_VALUES_OF_LAYER = 2**20  # 4 MiB


@dataclass
class ActivationSample:
    """Sample of the activations of a part. Samples of parts add up."""

    # images of the sample of the whole probe data set, (any,) int64
    sampled: Tensor
    cells_per_image: int
    # (value, unit) each, on the maps' device
    values: list[Tensor] = field(default_factory=list)

    @classmethod
    def empty(cls, units: int, images: int) -> ActivationSample:
        """Return the sample before any image, for a probe data set of ``images`` images."""
        most_of_unit = max(MOST_VALUES_OF_LAYER // units, LEAST_VALUES)
        values = min(most_of_unit, MOST_VALUES)
        sampled = np.array(shuffled(images)[:values], np.int64)
        return cls(torch.from_numpy(sampled), math.ceil(values / images))

    def update(self, maps: Tensor, images: Tensor) -> None:
        """Add cells of ``maps`` (image, unit, row, column) of images of the sample.

        ``images`` (image,) are their indices, on the CPU. The cells of an image lie evenly spread
        from a random one on.
        """
        is_sampled = np.isin(images.numpy(), self.sampled.numpy())
        rows = torch.from_numpy(is_sampled.nonzero()[0])
        if not len(rows):
            return
        cells = maps.flatten(2)
        cell_count = cells.shape[2]
        drawn_cells = min(self.cells_per_image, cell_count)
        steps = torch.arange(drawn_cells, dtype=torch.float64, device="cpu")
        first_places = images[rows].double() * GOLDEN_RATIO
        places = (first_places[:, None] + steps / drawn_cells) % 1
        positions = (places * cell_count).long()
        positions = to_device(positions, maps.device)
        rows = to_device(rows, maps.device)
        values = cells[rows[:, None], :, positions]
        self.values.append(values.flatten(0, 1))

    def on_cpu(self) -> ActivationSample:
        """Return a copy on the CPU, to be sent to another process."""
        values = [values.cpu() for values in self.values]
        return ActivationSample(self.sampled, self.cells_per_image, values)

    def __add__(self, other: ActivationSample) -> ActivationSample:
        values = self.values + other.values
        return ActivationSample(self.sampled, self.cells_per_image, values)

    def histograms(self, highest: Tensor) -> ActivationHistograms | None:
        """Count the sample in bins up to ``highest`` (unit,); None for an empty sample."""
        if not self.values:
            return None
        sample = torch.cat(self.values).double().numpy()
        return ActivationHistograms.of(sample, highest.double().numpy())
