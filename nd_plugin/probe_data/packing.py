"""Tensors packed into one piece of memory: how a batch leaves the worker that has decoded it.

A tensor that leaves a worker alone takes a file, a connection and a mapping, and the system clears
its memory page by page. So worker processes write batches into slots of memory that they share with
the process that has forked them, and which is used again and again::

    slot   0      1      2      0      1      2          three slots: two workers, each of which
    batch  0      1      2      3      4      5  …       is one batch ahead, and one that is copied

The batch that a slot held before has been copied when it is written again: DataLoader hands out as
many batches as it has received, in their order.
"""

from __future__ import annotations

import itertools
import math
import mmap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

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


class SharedSlots:
    """Memory in equal slots that this process shares with those that it forks from now on."""

    _open: ClassVar[WeakValueDictionary[int, SharedSlots]] = WeakValueDictionary()
    _keys: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self, count: int, nbytes: int) -> None:
        """Reserve memory; the system provides it when it is written to. Raises OSError."""
        self.count = count
        self.nbytes: int = _aligned(nbytes)
        memory = mmap.mmap(-1, count * self.nbytes)
        self._memory = torch.frombuffer(memory, dtype=torch.uint8)
        self.key: int = next(SharedSlots._keys)
        SharedSlots._open[self.key] = self

    def buffer(self, number: int, length: int) -> Tensor:
        """Return the first bytes of a slot, (length,) uint8."""
        start = number * self.nbytes
        return self._memory[start : start + length]

    @classmethod
    def opened(cls, key: int) -> SharedSlots:
        """Return the slots of this or the forking process that have this key."""
        return cls._open[key]


class Slot(NamedTuple):
    """Part of a slot, as one process names it to the other."""

    slots: int  # key
    number: int
    length: int  # bytes

    @property
    def buffer(self) -> Tensor:
        """Its bytes, (length,) uint8, until the slot is written again."""
        return SharedSlots.opened(self.slots).buffer(self.number, self.length)


@dataclass(frozen=True)
class PackedTensors:
    """Contiguous copies of some tensors in one buffer, or in a slot."""

    memory: Tensor | Slot  # (byte,) uint8
    layouts: tuple[Layout, ...]

    @classmethod
    def of(
        cls,
        tensors: Sequence[Tensor],
        slots: SharedSlots | None = None,
        turn: int = 0,
    ) -> PackedTensors:
        """Copy tensors of the CPU into the slot whose turn it is, or into a buffer of their own.

        They have a buffer of their own without ``slots``, and if they are larger than these.
        """
        layouts = tuple(_lay_out(tensors))
        length = _end(layouts)
        memory: Tensor | Slot
        if slots is not None and length <= slots.nbytes:
            memory = Slot(slots.key, turn % slots.count, length)
            buffer = memory.buffer
        else:
            memory = torch.empty(length, dtype=torch.uint8, device="cpu")
            buffer = memory
        for tensor, layout in zip(tensors, layouts, strict=True):
            layout.view(buffer).copy_(tensor)
        return cls(memory, layouts)

    def pin_memory(self) -> PackedTensors:
        """Return the same in pinned memory, from which a GPU copies while it computes."""
        return PackedTensors(self._buffer.pin_memory(), self.layouts)

    def unpack(self) -> list[Tensor]:
        """Return the tensors; they share one buffer, of which no slot is a part."""
        in_slot = isinstance(self.memory, Slot)
        buffer = self._buffer.clone() if in_slot else self._buffer
        return [layout.view(buffer) for layout in self.layouts]

    @property
    def _buffer(self) -> Tensor:
        return self.memory.buffer if isinstance(self.memory, Slot) else self.memory


def reserve_slots(count: int, nbytes: int) -> SharedSlots | None:
    """Reserve memory for ``count`` batches of ``nbytes``; None where the system has not so much."""
    with suppress(OSError, OverflowError):
        return SharedSlots(count, nbytes)
    return None


def _lay_out(tensors: Sequence[Tensor]) -> Iterator[Layout]:
    """Yield each tensor's place, one behind the other."""
    start = 0
    for tensor in tensors:
        layout = Layout(start, tuple(tensor.shape), tensor.dtype)
        yield layout
        start += _aligned(layout.nbytes)


def _aligned(nbytes: int) -> int:
    """Return the next multiple of the alignment."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _end(layouts: Sequence[Layout]) -> int:
    """Return the bytes of a buffer that holds all layouts."""
    return max((layout.start + layout.nbytes for layout in layouts), default=0)
