"""Growth of cost: python benchmarks/growth.py doubles images and units, and multiplies concepts.

Lines for images and units are runs of the engine on synthetic activations (stream.py), each in a
process of its own; lines for concepts count units against random label planes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from stopwatch import Stopwatch

from nd_plugin import Annotation
from nd_plugin.machine.allocator import retain_memory
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.method.counting import (
    AnnotationBatch,
    UnitCounts,
    count_intersections,
)
from nd_plugin.receptive_fields.geometry import spread_evenly

FOLDER = Path(__file__).parent
IMAGES = 16
UNITS = 256
MAPS_PER_IMAGE = 32
MASK_SIZE = (112, 112)
INPUT_SIZE = (224, 224)
ROUNDS = 12


def run_stream(*options: str) -> None:
    """Print one line of stream.py."""
    subprocess.run(
        [sys.executable, str(FOLDER / "stream.py"), *options], check=True
    )


def random_labels(
    concept_count: int, random: np.random.Generator
) -> LabelCombinations:
    """Return a plane of random labels in blocks of 4 x 4 pixels."""
    blocks = random.integers(0, concept_count + 1, (28, 28), dtype=np.int32)
    plane = blocks.repeat(4, 0).repeat(4, 1)
    return LabelCombinations.of(Annotation([plane]), MASK_SIZE)


def count_milliseconds(concept_count: int) -> float:
    """Return the median time of counting units against planes of so many concepts, an image."""
    random = np.random.default_rng(0)
    labels = [random_labels(concept_count, random) for _ in range(IMAGES)]
    categories = np.zeros(concept_count, np.int64)
    scenes = AnnotationBatch.of(labels, categories, 1, torch.device("cpu"))
    map_count = IMAGES * MAPS_PER_IMAGE
    maps = torch.randn(
        map_count, 13, 13, generator=torch.Generator().manual_seed(0)
    )
    map_images = torch.arange(IMAGES).repeat_interleave(MAPS_PER_IMAGE)
    map_units = torch.arange(map_count) % UNITS
    thresholds = torch.full((UNITS,), 2.5)
    geometry = spread_evenly((13, 13), INPUT_SIZE)
    counts = UnitCounts.empty(UNITS, concept_count, 1)
    pieces = [(map_images, map_units, maps)]
    stopwatch = Stopwatch()
    with one_thread(), retain_memory():
        for _ in range(ROUNDS):
            with stopwatch:
                batch_counts = count_intersections(
                    pieces, thresholds, geometry, INPUT_SIZE, scenes, concept_count
                )
                counts.update(batch_counts)
    return statistics.median(stopwatch.laps) / IMAGES * 1e3


def main() -> None:
    """Print all lines."""
    for images in ("8000", "16000", "32000"):
        run_stream("--images", images, "--memory", "0.25")
    for units in ("128", "256", "512"):
        run_stream("--images", "8000", "--units", units, "--memory", "0.25")
    for concept_count in (12, 120, 1200):
        milliseconds = count_milliseconds(concept_count)
        print(
            f"{concept_count:5} concepts: {milliseconds:.2f} ms an image "
            f"to count {MAPS_PER_IMAGE} maps of {UNITS} units",
            flush=True,
        )


if __name__ == "__main__":
    main()
