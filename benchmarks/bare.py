"""Bare loop that a dissection is compared with: decode, resize, normalise, run the model.

The loop has everything that is known to make it fast: worker processes, the fastest batch size and
memory format, an allocator that keeps its memory. A forward pass ends at the deepest layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import torch
from stopwatch import Stopwatch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from nd_plugin import ConceptSet, Preprocess
from nd_plugin.machine.allocator import retain_memory


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


def measure_seconds(
    model: nn.Module,
    layers: Sequence[str],
    concepts: ConceptSet,
    preprocess: Preprocess,
    *,
    batch_size: int,
    workers: int,
) -> float:
    """Return the wall-clock time of the loop over all images."""
    hook = LayerCount(len(layers))
    handles = [
        model.get_submodule(layer).register_forward_hook(hook) for layer in layers
    ]
    images = Images(concepts, preprocess)
    stopwatch = Stopwatch()
    try:
        with stopwatch, torch.inference_mode(), retain_memory():
            for pixels in DataLoader(images, batch_size, num_workers=workers):
                batch = preprocess.normalise(pixels)
                hook.finished = 0
                with suppress(DeepestLayerReached):
                    model(batch.contiguous(memory_format=torch.channels_last))
    finally:
        for handle in handles:
            handle.remove()
    return stopwatch.seconds
