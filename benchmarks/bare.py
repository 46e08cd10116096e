"""Bare loop that a dissection is compared with: decode, resize, normalise, run the model.

The loop has everything that is known to make it fast: worker processes, the fastest batch size and
memory format, an allocator that keeps its memory, and on a GPU pinned memory and copies that nobody
waits for. A forward pass ends at the deepest layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from stopwatch import Stopwatch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from nd_plugin import ConceptSet, Preprocess
from nd_plugin.machine.allocator import retain_memory

CPU = torch.device("cpu")


class DeepestLayerReached(Exception):
    """All layers have run; the forward pass can end."""


class Images(Dataset[Tensor]):
    """Images of a concept set, decoded and resized."""

    def __init__(self, concepts: ConceptSet, preprocess: Preprocess) -> None:
        self.concepts = concepts
        self.preprocess = preprocess

    def __len__(self) -> int:
        return len(self.concepts)

    def __getitem__(self, index: int) -> Tensor:
        return self.preprocess.resize(self.concepts.image(index))


class LayerCount:
    """Forward hook that ends a pass once ``layer_count`` layers have run."""

    def __init__(self, layer_count: int) -> None:
        self.layer_count = layer_count
        self.finished = 0

    def __call__(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        """Count a layer; end the pass at the last."""
        self.finished += 1
        if self.finished == self.layer_count:
            raise DeepestLayerReached


@contextmanager
def passes_to_deepest(
    model: nn.Module, layers: Sequence[str]
) -> Iterator[Callable[[Tensor], None]]:
    """Yield a function that runs a batch up to the deepest of ``layers``."""
    hook = LayerCount(len(layers))
    handles = [
        model.get_submodule(layer).register_forward_hook(hook) for layer in layers
    ]

    def run(images: Tensor) -> None:
        hook.finished = 0
        with suppress(DeepestLayerReached):
            model(images)

    try:
        with torch.inference_mode():
            yield run
    finally:
        for handle in handles:
            handle.remove()


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_seconds(
    model: nn.Module,
    layers: Sequence[str],
    concepts: ConceptSet,
    preprocess: Preprocess,
    *,
    batch_size: int,
    workers: int,
    device: torch.device = CPU,
    memory_format: torch.memory_format = torch.channels_last,
) -> float:
    """Return the wall-clock time of the loop over all images; the model is on ``device``."""
    images = Images(concepts, preprocess)
    stopwatch = Stopwatch()
    with passes_to_deepest(model, layers) as run, stopwatch, retain_memory():
        loader = DataLoader(
            images,
            batch_size,
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )
        for pixels in loader:
            batch = preprocess.normalise(pixels.to(device, non_blocking=True))
            run(batch.contiguous(memory_format=memory_format))
        synchronise(device)
    return stopwatch.seconds


def forward_seconds(
    model: nn.Module,
    layers: Sequence[str],
    images: Tensor,
    passes: int,
    memory_format: torch.memory_format,
) -> float:
    """Return the time of forward passes alone over ``images``, an image; a first pass warms up."""
    images = images.contiguous(memory_format=memory_format)
    stopwatch = Stopwatch()
    with passes_to_deepest(model, layers) as run, retain_memory():
        run(images)
        synchronise(images.device)
        with stopwatch:
            for _ in range(passes):
                run(images)
            synchronise(images.device)
    return stopwatch.seconds / (passes * len(images))
