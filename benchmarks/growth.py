"""How cost grows: python benchmarks/growth.py. Doubling images, units and concepts, each in a process of its own.

Each line is a run of the engine on a source of activations (stream.py) and drawn label planes (for concepts).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from nd_plugin import Annotation
from nd_plugin.machine.allocator import retain_memory
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.method.counting import AnnotationBatch, UnitCounts, shared
from nd_plugin.receptive_fields.geometry import spread_evenly

HERE = Path(__file__).parent


def stream(*options: str) -> None:
    """One line of stream.py."""
    subprocess.run([sys.executable, str(HERE / "stream.py"), *options], check=True)


def concepts(many: int) -> float:
    """Milliseconds an image to count 256 units against planes of that many concepts."""
    random = np.random.default_rng(0)
    device = torch.device("cpu")
    images = [
        LabelCombinations.of(
            Annotation([random.integers(0, many + 1, (28, 28), dtype=np.int32).repeat(4, 0).repeat(4, 1)]), (112, 112)
        )
        for _ in range(16)
    ]
    scenes = AnnotationBatch.of(images, np.zeros(many, np.int64), 1, device)
    maps = torch.randn(16 * 32, 13, 13, generator=torch.Generator().manual_seed(0))
    place, units = torch.arange(16).repeat_interleave(32), torch.arange(16 * 32) % 256
    thresholds, geometry = torch.full((256,), 2.5), spread_evenly((13, 13), (224, 224))
    counts = UnitCounts.empty(256, many, 1)
    spent = []
    with one_thread(), retain_memory():
        for _ in range(12):
            begun = time.perf_counter()
            counts.update(shared([(place, units, maps)], thresholds, geometry, (224, 224), scenes, many))
            spent.append(time.perf_counter() - begun)
    return statistics.median(spent) / 16 * 1e3


def main() -> None:
    """All lines."""
    for images in ("8000", "16000", "32000"):
        stream("--images", images, "--memory", "0.25")
    for units in ("128", "256", "512"):
        stream("--images", "8000", "--units", units, "--memory", "0.25")
    for many in (12, 120, 1200):
        print(f"{many:5} concepts: {concepts(many):.2f} ms an image to count 32 maps of 256 units", flush=True)


if __name__ == "__main__":
    main()
