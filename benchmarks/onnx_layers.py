"""Cost of probing layers of an ONNX file: python benchmarks/onnx_layers.py FILE.onnx LAYER ….

Compares the subgraph that a layer needs with the whole model, both run by ONNX Runtime on the same
batches.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from stopwatch import Stopwatch
from torch import Tensor

from nd_plugin import open_model


def milliseconds(run: Callable[[Tensor], object], images: Tensor) -> float:
    """Return the time of a run, in ms an image; a first run warms up."""
    run(images)
    with Stopwatch() as stopwatch:
        run(images)
    return stopwatch.seconds / len(images) * 1e3


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("layers", nargs="+")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    return parser.parse_args()


def main() -> None:
    """Print a line for each layer."""
    arguments = parse_arguments()
    model = open_model(arguments.file)
    size = model.preprocess.size
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(arguments.batch, 3, *size, generator=generator).to(
        model.device
    )
    last_layer = model.layers(size)[-1].name
    with model.probe([last_layer], size) as full_model:
        for layer in arguments.layers:
            layer_times = []
            full_times = []
            with model.probe([layer], size) as subgraph:
                for _ in range(arguments.rounds):
                    layer_times.append(milliseconds(subgraph, images))
                    full_times.append(milliseconds(full_model, images))
            layer_time = statistics.median(layer_times)
            full_time = statistics.median(full_times)
            print(
                f"{layer:20} {layer_time:6.2f} ms an image   "
                f"full model ({last_layer}) {full_time:6.2f} ms   "
                f"ratio {layer_time / full_time:.2f}"
            )


if __name__ == "__main__":
    main()
