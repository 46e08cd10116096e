"""A whole dissection against the bare loop: python benchmarks/whole_run.py DATA [--rounds N].

DATA is the folder that contains broden_camvid. Both run in turn in one process; medians are
printed, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import bare
import torch
from device_cases import FOUR_LAYERS
from stopwatch import Stopwatch
from torch import nn

from nd_plugin import (
    ConceptSet,
    LayerDissection,
    Preprocess,
    open_concepts,
    open_model,
)

WORKERS = 1
# of the bare loop; the one with the best median counts
BATCH_SIZES = (8, 16, 24, 32)


class AlexNet(nn.Module):
    """Krizhevsky's network up to conv5, with random weights: its speed does not depend on them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(
                nn.Conv2d(96, 256, 5, padding=2, groups=2),
                nn.ReLU(),
                nn.MaxPool2d(3, 2),
            ),
            *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU()),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return maps (image, unit, row, column) of conv5."""
        features: torch.Tensor = self.features(images)
        return features


@dataclass(frozen=True)
class Comparison:
    """Layers of a model to be dissected, with and without nd_plugin."""

    name: str
    model: nn.Module
    layers: Sequence[str]
    preprocess: Preprocess

    def run(self, concepts: ConceptSet, rounds: int) -> None:
        """Print one line; a first round warms up."""
        dissection = Stopwatch()
        loop_times: dict[int, list[float]] = {size: [] for size in BATCH_SIZES}
        for _ in range(1 + rounds):
            with dissection:
                self._dissect(concepts)
            for size, times in loop_times.items():
                times.append(self._loop_seconds(concepts, size))
        dissection_median = statistics.median(dissection.laps[1:])
        loop_medians = {
            size: statistics.median(times[1:]) for size, times in loop_times.items()
        }
        ratio = dissection_median / min(loop_medians.values())
        loops = ", ".join(
            f"{time:.2f} s (batch {size})" for size, time in loop_medians.items()
        )
        print(
            f"{self.name:32} dissection {dissection_median:6.2f} s   ratio {ratio:.2f}   "
            f"bare {loops}",
            flush=True,
        )

    def _dissect(self, concepts: ConceptSet) -> None:
        layer_dissection = LayerDissection(self.model, list(self.layers))
        layer_dissection.dissect(
            concepts, preprocess=self.preprocess, workers=WORKERS
        )

    def _loop_seconds(self, concepts: ConceptSet, batch_size: int) -> float:
        return bare.measure_seconds(
            self.model,
            self.layers,
            concepts,
            self.preprocess,
            batch_size=batch_size,
            workers=WORKERS,
        )


def main() -> None:
    """Print all lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    concepts = open_concepts(f"broden:{arguments.data}/broden_camvid")
    from nd_torch.zoo import efficientnet_lite0

    lite = efficientnet_lite0().eval()
    lite_preprocess = open_model(lite).preprocess
    alexnet = AlexNet().eval()
    comparisons = [
        Comparison(
            "EfficientNet-Lite0 _blocks.15", lite, ["_blocks.15"], lite_preprocess
        ),
        Comparison(
            "EfficientNet-Lite0 four layers", lite, FOUR_LAYERS, lite_preprocess
        ),
        Comparison(
            "AlexNet conv5, 227", alexnet, ["features.11"], Preprocess((227, 227))
        ),
    ]
    for comparison in comparisons:
        comparison.run(concepts, arguments.rounds)


if __name__ == "__main__":
    main()
