"""The floor that a dissection is compared with: decode, resize, normalise, forward up to the deepest layer.

The loop has everything that is known to make it fast: worker processes, the batch size and memory format that are
fastest, and an allocator that keeps its memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from nd_plugin import ConceptSet, Preprocess
from nd_plugin.machine.allocator import retain_memory


class Deepest(Exception):
    """The forward pass has come as far as it has to."""


class Images(Dataset[Tensor]):
    """The images of a concept set, decoded and resized."""

    def __init__(self, concepts: ConceptSet, preprocess: Preprocess, count: int) -> None:
        self.concepts, self.preprocess, self.count = concepts, preprocess, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        return self.preprocess.resize(self.concepts.image(index))


def seconds(
    model: nn.Module,
    layers: Sequence[str],
    concepts: ConceptSet,
    preprocess: Preprocess,
    *,
    batch_size: int,
    workers: int,
    count: int | None = None,
    see: Callable[[Tensor], object] = lambda maps: None,
) -> float:
    """Wall-clock time of the loop; ``update`` is done to the output of every layer."""
    taken: list[str] = []

    def hook(layer: str) -> Callable[[nn.Module, object, Tensor], None]:
        def done(_: nn.Module, __: object, output: Tensor) -> None:
            see(output)
            taken.append(layer)
            if len(taken) == len(layers):
                raise Deepest

        return done

    handles = [model.get_submodule(layer).register_forward_hook(hook(layer)) for layer in layers]
    images = Images(concepts, preprocess, len(concepts) if count is None else count)
    begun = time.perf_counter()
    try:
        with torch.inference_mode(), retain_memory():
            for pixels in DataLoader(images, batch_size, num_workers=workers):
                taken.clear()
                with suppress(Deepest):
                    model(preprocess.normalise(pixels).contiguous(memory_format=torch.channels_last))
        return time.perf_counter() - begun
    finally:
        for handle in handles:
            handle.remove()
