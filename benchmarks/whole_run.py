"""The whole dissection against the bare loop: python benchmarks/whole_run.py DATA [--rounds N].

DATA is the folder that holds broden_camvid. Both run in turn in one process; medians, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

import bare
import torch
from torch import nn

from nd_plugin import ConceptSet, LayerDissection, Preprocess, open_concepts, open_model

WORKERS = 1
FOUR = ["_blocks.4", "_blocks.10", "_blocks.15", "_bn1"]


class AlexNet(nn.Module):
    """Krizhevsky's network up to conv5, random weights: the speed does not depend on them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU()),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(image, unit, row, column)"""
        features: torch.Tensor = self.features(images)
        return features


def compare(name: str, model: nn.Module, layers: list[str], concepts: ConceptSet, how: Preprocess, rounds: int) -> None:
    """Print one line. The bare loop runs with several batch sizes; the one with the best median counts."""
    ours: list[float] = []
    floor: dict[int, list[float]] = {8: [], 16: [], 24: [], 32: []}
    for round_ in range(rounds + 1):
        begun = time.perf_counter()
        LayerDissection(model, layers).dissect(concepts, preprocess=how, workers=WORKERS)
        spent = time.perf_counter() - begun
        bares = {size: bare.seconds(model, layers, concepts, how, batch_size=size, workers=WORKERS) for size in floor}
        if round_:  # the first one warms up
            ours.append(spent)
            for size, seconds in bares.items():
                floor[size].append(seconds)
    bare_loops = {size: statistics.median(times) for size, times in floor.items()}
    a, b = statistics.median(ours), min(bare_loops.values())
    shown = ", ".join(f"{seconds:.2f} s (batch {size})" for size, seconds in bare_loops.items())
    print(f"{name:32} dissection {a:6.2f} s   ratio {a / b:.2f}   bare {shown}", flush=True)


def main() -> None:
    """All lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    concepts = open_concepts(f"broden:{given.data}/broden_camvid")
    from nd_torch.zoo import efficientnet_lite0

    lite = efficientnet_lite0().eval()
    how = open_model(lite).preprocess
    compare("EfficientNet-Lite0 _blocks.15", lite, ["_blocks.15"], concepts, how, given.rounds)
    compare("EfficientNet-Lite0 four layers", lite, FOUR, concepts, how, given.rounds)
    alexnet = AlexNet().eval()
    compare("AlexNet conv5, 227", alexnet, ["features.11"], concepts, Preprocess((227, 227)), given.rounds)


if __name__ == "__main__":
    main()
