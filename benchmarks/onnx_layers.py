"""What probing a layer of an ONNX file costs: python benchmarks/onnx_layers.py FILE.onnx LAYER [LAYER …].

The part of the graph that a layer needs, against the whole model, both on ONNX Runtime with the same batches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from nd_plugin import open_model


def milliseconds(run: Callable[[Tensor], object], images: Tensor) -> float:
    """Of the second of two runs, an image."""
    run(images)
    begun = time.perf_counter()
    run(images)
    return (time.perf_counter() - begun) / len(images) * 1e3


def main() -> None:
    """A line for each layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("layers", nargs="+")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    model = open_model(given.file)
    size = model.preprocess.size
    images = torch.rand(given.batch, 3, *size, generator=torch.Generator().manual_seed(0)).to(model.device)
    last = model.layers(size)[-1].name
    with model.probe([last], size) as whole:
        for layer in given.layers:
            with model.probe([layer], size) as probe:
                pairs = [(milliseconds(probe, images), milliseconds(whole, images)) for _ in range(given.rounds)]
            part, full = (statistics.median(times) for times in zip(*pairs, strict=True))
            print(f"{layer:20} {part:6.2f} ms an image   whole ({last}) {full:6.2f} ms   ratio {part / full:.2f}")


if __name__ == "__main__":
    main()
