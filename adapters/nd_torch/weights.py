"""Weights of an opened model: checked, fingerprinted, and their number types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nd_plugin import BadInput, fingerprint


def check_values(module: nn.Module) -> None:
    """Check that all weights have values. Raises BadInput."""
    tensors = chain(module.named_parameters(), module.named_buffers())
    lazy = [name for name, tensor in tensors if is_lazy(tensor)]
    if lazy:
        raise BadInput(
            f"{len(lazy)} parameters have no shape and no values yet ({lazy[0]} …): run the "
            "model once on images, or load its weights, before it is dissected"
        )


def copy_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of a module's buffers, which its passes may change, by name."""
    return {
        name: buffer.detach().clone() for name, buffer in module.named_buffers()
    }


def weights_fingerprint(
    module: nn.Module | None, buffers: Mapping[str, Tensor]
) -> str:
    """Return the fingerprint of names, shapes, types and bytes of all weights; "" without module.

    ``buffers`` are copies of the module's, as of its opening.
    """
    if module is None:
        return ""
    return fingerprint(_weight_bytes(module, buffers))


def _weight_bytes(
    module: nn.Module, buffers: Mapping[str, Tensor]
) -> Iterator[bytes | memoryview]:
    weights = {**dict(module.named_parameters()), **buffers}
    for name in sorted(weights):
        tensor = weights[name]
        yield f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode()
        flat = tensor.detach().cpu().contiguous().flatten()
        yield flat.view(torch.uint8).numpy().data


def precision_of(module: nn.Module) -> str:
    """Return the number types of a module's parameters, that of most numbers first; "" for none."""
    counts = Counter[str]()
    for parameter in module.parameters():
        counts[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    return " and ".join(name for name, _ in counts.most_common())
