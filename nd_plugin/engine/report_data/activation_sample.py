"""Sample of a layer's activations, for histograms: one cell of each of some images.

The images are the first ones of the random order of the probe data set, and the cell of an image
is chosen whatever its value: the sample is a fair one, and the same for any division into parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nd_plugin.method.lower_bound import GOLDEN_RATIO
from nd_plugin.probe_data.batches import shuffled
from nd_plugin.results.activation_histograms import ActivationHistograms

MOST_IMAGES = 4096
LEAST_IMAGES = 256
MOST_VALUES = 2**22  # of all units, 16 MiB


@dataclass
class ActivationSample:
    """Sample of the activations of a part. Samples of parts add up."""

    sampled: (
        Tensor  # (any,) int64, images of the sample of the whole probe data set
    )
    images: list[Tensor] = field(default_factory=list)  # (image,) each
    values: list[Tensor] = field(
        default_factory=list
    )  # (image, unit) each, on the CPU

    @classmethod
    def empty(cls, units: int, images: int) -> ActivationSample:
        """Return the sample before any image, for a probe data set of ``images`` images."""
        most = min(max(MOST_VALUES // units, LEAST_IMAGES), MOST_IMAGES)
        return cls(torch.from_numpy(np.array(shuffled(images)[:most], np.int64)))

    def update(self, maps: Tensor, images: Tensor) -> None:
        """Add a cell of each of ``maps`` (image, unit, row, column) of images of the sample.

        ``images`` (image,) are their indices, on the CPU.
        """
        is_sampled = torch.from_numpy(np.isin(images.numpy(), self.sampled.numpy()))
        rows = is_sampled.nonzero()[:, 0]
        if not len(rows):
            return
        cells = maps.flatten(2)
        multiples = images[rows].double() * GOLDEN_RATIO
        cell_of_image = (multiples % 1 * cells.shape[2]).long()
        values = cells[rows.to(maps.device), :, cell_of_image.to(maps.device)]
        self.images.append(images[rows])
        self.values.append(values.cpu())

    def __add__(self, other: ActivationSample) -> ActivationSample:
        return ActivationSample(
            self.sampled, self.images + other.images, self.values + other.values
        )

    def histograms(self, highest: Tensor) -> ActivationHistograms | None:
        """Count the sample in bins up to ``highest`` (unit,); None for an empty sample."""
        if not self.values:
            return None
        sample = torch.cat(self.values).double().numpy()
        return ActivationHistograms.of(sample, highest.double().numpy())
