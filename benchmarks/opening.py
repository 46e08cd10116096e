"""Opening of a probe against forward passes: python benchmarks/opening.py [--rounds N].

A probe is opened with a survey of two images, a measurement of thirteen and an examination of
four. Medians are printed, and how many images the bare network runs in that time, in batches of 16.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack

import torch
from device_cases import FOUR_LAYERS
from stopwatch import Stopwatch
from whole_run import AlexNet

from nd_plugin import Model, open_model

BATCH = 16


def main() -> None:
    """Print a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    from nd_torch.zoo import efficientnet_lite0

    lite = efficientnet_lite0().eval()
    compare(
        "EfficientNet-Lite0, four layers", open_model(lite), FOUR_LAYERS, rounds
    )
    alexnet = open_model(AlexNet().eval())
    compare("AlexNet conv5", alexnet, ("features.11",), rounds)


def compare(name: str, model: Model, layers: tuple[str, ...], rounds: int) -> None:
    """Print a line; a first round warms up."""
    opening = Stopwatch()
    batch = Stopwatch()
    images = torch.rand(BATCH, 3, 224, 224)
    for _ in range(1 + rounds):
        with ExitStack() as stack:
            with opening:
                probe = stack.enter_context(model.probe(layers, (224, 224)))
            with batch:
                probe(images)
    opening_median = statistics.median(opening.laps[1:])
    image_median = statistics.median(batch.laps[1:]) / BATCH
    images_in_time = opening_median / image_median
    print(f"{name:32} {opening_median:5.2f} s, that of {images_in_time:.0f} images")


if __name__ == "__main__":
    main()
