"""Batch size and memory format on the CPU: python benchmarks/batch_size.py [NAME …].

NAME is a model of torchvision (which must be installed). Prints ms an image with random weights,
for contiguous and channels-last images, with glibc's allocator thresholds unchanged and raised.
The defaults of the feed and of the torch backend were chosen by it.
"""

from __future__ import annotations

import statistics
import sys
from contextlib import nullcontext

import torch
from stopwatch import Stopwatch
from torch import nn

from nd_plugin.machine.allocator import retain_memory

NAMES = [
    "alexnet",
    "resnet18",
    "vgg11",
    "mobilenet_v2",
    "efficientnet_b0",
    "vit_b_16",
    "convnext_tiny",
]
BATCH_SIZES = (4, 8, 16, 32)
FORMATS = {
    "contiguous": torch.contiguous_format,
    "channels last": torch.channels_last,
}


def milliseconds(
    model: nn.Module,
    batch_size: int,
    memory_format: torch.memory_format,
    *,
    raised: bool,
) -> float:
    """Return the median time of a forward pass, in ms an image; a first pass warms up."""
    images = torch.rand(batch_size, 3, 224, 224).contiguous(
        memory_format=memory_format
    )
    passes = max(24 // batch_size, 2)
    stopwatch = Stopwatch()
    with torch.inference_mode(), retain_memory() if raised else nullcontext():
        for _ in range(1 + passes):
            with stopwatch:
                model(images)
    return statistics.median(stopwatch.laps[1:]) / batch_size * 1e3


def print_model(name: str, model: nn.Module) -> None:
    """Print a line for each memory format and state of the allocator."""
    sizes = ", ".join(map(str, BATCH_SIZES))
    for raised in (False, True):
        state = "raised" if raised else "unchanged"
        for format_name, memory_format in FORMATS.items():
            times = [
                milliseconds(model, size, memory_format, raised=raised)
                for size in BATCH_SIZES
            ]
            figures = " ".join(f"{time:7.1f}" for time in times)
            print(
                f"{name:16} {format_name:14} thresholds {state:12} batch {sizes}: {figures}",
                flush=True,
            )


def main() -> None:
    """Measure all models."""
    import torchvision

    for name in sys.argv[1:] or NAMES:
        print_model(name, getattr(torchvision.models, name)(weights=None).eval())


if __name__ == "__main__":
    main()
