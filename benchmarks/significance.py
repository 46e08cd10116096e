"""What folds and permutations cost: python benchmarks/significance.py [--images N] [--rounds N].

EfficientNet-Lite0 on the drawn `shapes`, plain and with F folds or P permutations, in turn in one
process; the median seconds, and their ratio to the plain run's. ``--data DATA`` (the folder with
broden_camvid) takes CamVid instead.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping

from stopwatch import Stopwatch

from nd_plugin import ConceptSet, LayerDissection, open_concepts

LAYERS = ["_blocks.10", "_swish#1"]
FOLDS = (10, 50)
PERMUTATIONS = (10, 100)


def cases() -> dict[str, Mapping[str, int]]:
    """Return the options of each case, the plain one first."""
    options: dict[str, Mapping[str, int]] = {"plain": {}}
    for folds in FOLDS:
        options[f"{folds} folds"] = {"folds": folds}
    for permutations in PERMUTATIONS:
        options[f"{permutations} permutations"] = {"permutations": permutations}
    return options


def dissect(
    layers: LayerDissection, concepts: ConceptSet, options: Mapping[str, int]
) -> None:
    """Dissect once, without pictures."""
    layers.dissect(concepts, pictures=False, workers=1, **options)  # type: ignore[arg-type]


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data")
    arguments = parser.parse_args()
    text = f"shapes?images={arguments.images}"
    if arguments.data:
        text = f"broden:{arguments.data}/broden_camvid"
    concepts = open_concepts(text)
    layers = LayerDissection("nd_torch.zoo:efficientnet_lite0", LAYERS)
    stopwatches = {name: Stopwatch() for name in cases()}
    for _ in range(1 + arguments.rounds):
        for name, options in cases().items():
            with stopwatches[name]:
                dissect(layers, concepts, options)
    # the first round warms up
    medians = {
        name: statistics.median(stopwatch.laps[1:])
        for name, stopwatch in stopwatches.items()
    }
    print(f"{text}, {len(concepts)} images, {', '.join(LAYERS)}")
    for name, seconds in medians.items():
        print(f"{name:>16}: {seconds:7.2f} s, {seconds / medians['plain']:.2f}")


if __name__ == "__main__":
    main()
