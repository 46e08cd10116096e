"""Tensors packed into one buffer: a batch leaves its worker process, and is pinned, in one piece.

A tensor that leaves a worker alone takes a file, a connection and a mapping of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

ALIGNMENT = 64  # bytes; a cache line, and a multiple of every element's size


class Layout(NamedTuple):
    """Place of a contiguous tensor in a buffer."""

    start: int  # byte
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return math.prod(self.shape) * self.dtype.itemsize

    def view(self, buffer: Tensor) -> Tensor:
        """Return the tensor in ``buffer`` (byte,) uint8; it shares its memory."""
        tensor_bytes = buffer[self.start : self.start + self.nbytes]
        return tensor_bytes.view(self.dtype).view(self.shape)


@dataclass(frozen=True)
class PackedTensors:
    """Contiguous copies of some tensors in one buffer, shared memory in a worker process."""

    buffer: Tensor  # (byte,) uint8
    layouts: tuple[Layout, ...]

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> PackedTensors:
        """Copy tensors of the CPU into a new buffer."""
        layouts = tuple(_lay_out(tensors))
        buffer = _new_buffer(_end(layouts))
        for tensor, layout in zip(tensors, layouts, strict=True):
            layout.view(buffer).copy_(tensor)
        return cls(buffer, layouts)

    def pin_memory(self) -> PackedTensors:
        """Return the same in pinned memory, from which a GPU copies while it computes."""
        return replace(self, buffer=self.buffer.pin_memory())

    def unpack(self) -> list[Tensor]:
        """Return the tensors; they share the buffer's memory."""
        return [layout.view(self.buffer) for layout in self.layouts]


def _lay_out(tensors: Sequence[Tensor]) -> Iterator[Layout]:
    """Yield each tensor's place, one behind the other."""
    start = 0
    for tensor in tensors:
        layout = Layout(start, tuple(tensor.shape), tensor.dtype)
        yield layout
        start += -(-layout.nbytes // ALIGNMENT) * ALIGNMENT


def _end(layouts: Sequence[Layout]) -> int:
    """Return the bytes of a buffer that holds all layouts."""
    return max((layout.start + layout.nbytes for layout in layouts), default=0)


def _new_buffer(length: int) -> Tensor:
    if get_worker_info() is None or not length:
        return torch.empty(length, dtype=torch.uint8, device="cpu")
    # as torch's own collation does: written where the other process reads
    storage = torch.UntypedStorage._new_shared(  # type: ignore[no-untyped-call]
        length, device="cpu"
    )
    return torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage)
