"""Batch size and memory format on the CPU: python benchmarks/batch_size.py [NAME …], names of torchvision's models.

ms an image, random weights, contiguous and channels last, with glibc's thresholds as they are and raised.
Needs torchvision. What it showed made the defaults of the feed and of the backend.
"""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import nullcontext

import torch
from torch import nn

from nd_plugin.machine.allocator import retain_memory

NAMES = ["alexnet", "resnet18", "vgg11", "mobilenet_v2", "efficientnet_b0", "vit_b_16", "convnext_tiny"]


def milliseconds(model: nn.Module, batch: int, memory_format: torch.memory_format, *, raised: bool) -> float:
    """The median time of a forward pass, an image."""
    images = torch.rand(batch, 3, 224, 224).contiguous(memory_format=memory_format)
    spent = []
    with torch.inference_mode(), retain_memory() if raised else nullcontext():
        for _ in range(max(24 // batch, 2) + 1):
            begun = time.perf_counter()
            model(images)
            spent.append(time.perf_counter() - begun)
    return statistics.median(spent[1:]) / batch * 1e3


def main() -> None:
    """A line for each model, memory format and state of the allocator."""
    import torchvision

    for name in sys.argv[1:] or NAMES:
        model = getattr(torchvision.models, name)(weights=None).eval()
        for raised in (False, True):
            for shown, order in (("contiguous", torch.contiguous_format), ("channels last", torch.channels_last)):
                times = [milliseconds(model, batch, order, raised=raised) for batch in (4, 8, 16, 32)]
                state = "raised" if raised else "as they are"
                figures = " ".join(f"{one:7.1f}" for one in times)
                print(f"{name:16} {shown:14} thresholds {state:12} batch 4, 8, 16, 32: {figures}", flush=True)


if __name__ == "__main__":
    main()
