"""What other bases of a layer cost: python benchmarks/bases.py CONCEPTS [--limit N] [--rounds N].

CONCEPTS is a concept set, such as ``masks:ROOT`` or ``shapes?images=200``. EfficientNet-Lite0 is
dissected plainly, and in 5, 10, 20 and 50 rotated bases beside its own. Prints the ratio of the
medians, the seconds of processors, and those of the rotations themselves, which are computed once
a run and do not depend on the number of images.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable

from stopwatch import Stopwatch

from nd_plugin import Model, Settings, open_concepts, open_model
from nd_plugin.bases.basis import LayerView
from nd_plugin.bases.memory import fitting_feed, measure_layer, view_bytes
from nd_plugin.bases.rotations import rotation_bases
from nd_plugin.bases.virtual_layers import ModelInBases
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed

MODEL = "nd_torch.zoo:efficientnet_lite0"
LAYERS = ("_blocks.10", "_blocks.15")
COUNTS = (5, 10, 20, 50)  # bases, of five α
ALPHAS = (0.2, 0.4, 0.6, 0.8, 1.0)


def processor_seconds() -> float:
    """Return the seconds of this process on processors, and of its children that have ended."""
    return sum(os.times()[:4])


def measure(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median seconds of some work, and of processors, those of children included."""
    stopwatch = Stopwatch()
    processors: list[float] = []
    for _ in range(rounds):
        start = processor_seconds()
        with stopwatch:
            work()
        processors.append(processor_seconds() - start)
    return statistics.median(stopwatch.laps), statistics.median(processors)


def print_layer(model: Model, layer: str, feed: Feed, rounds: int) -> None:
    """Print a line for the plain run, and one for each number of bases."""
    shape = measure_layer(model, layer, feed.preprocess.size)
    rows, columns = shape.cells
    print(
        f"{layer}: {shape.units} units of {rows} x {columns}, {feed.images} images"
    )
    plain = measure(lambda: run(model, [layer], feed), rounds)
    print(f"  plain    {plain[0]:7.1f} s  processors {plain[1]:7.1f} s", flush=True)
    for count in COUNTS:
        seeds = range(count // len(ALPHAS))
        stopwatch = Stopwatch()
        with stopwatch:
            bases = list(rotation_bases(shape.units, ALPHAS, seeds).values())
        views = [LayerView(layer), *(LayerView(layer, basis) for basis in bases)]
        nbytes = view_bytes(shape, [None, *bases])
        fitting, _ = fitting_feed(feed, nbytes, model.device)
        seen = ModelInBases(model, bases)
        seconds = measure(lambda: run(seen, views, fitting), rounds)  # noqa: B023
        print(
            f"  {count:2} bases {seconds[0]:7.1f} s  processors {seconds[1]:7.1f} s  "
            f"ratio {seconds[0] / plain[0]:.2f} ({seconds[1] / plain[1]:.2f})  "
            f"batches of {fitting.batch_size}; rotations {stopwatch.seconds:.1f} s",
            flush=True,
        )


def main() -> None:
    """Measure all layers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("concepts")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    model = open_model(MODEL)
    settings = Settings(limit=options.limit, pictures=0)
    feed = Feed.of(
        open_concepts(options.concepts), model.preprocess, settings, model.device
    )
    for layer in LAYERS:
        print_layer(model, layer, feed, options.rounds)


if __name__ == "__main__":
    main()
