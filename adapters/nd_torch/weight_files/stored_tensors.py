"""Tensors of a weights file, described before their values are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """Tensor in a file: its shape, and how its values are read."""

    shape: tuple[int, ...]
    load: Callable[[], Tensor]

    @classmethod
    def of(cls, tensor: Tensor) -> StoredTensor:
        """Describe a tensor that has been read."""
        return cls(tuple(tensor.shape), lambda: tensor)


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds for a model."""

    path: str
    tensors: Mapping[str, StoredTensor]
    # as the training script called it; "" where it does not say
    architecture: str = ""
    is_caffe: bool = False
