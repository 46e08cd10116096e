"""Pieces of memory in large blocks, which are used again and again.

The kernel clears every fresh page, at a cost above that of copying into it. So memory is
taken in large blocks, and a block whose pieces have all been released serves the next
owner.

    block    | piece | piece | free … |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

import torch
from torch import Tensor

BLOCK_BYTES = 2**25  # the least that a block holds


def new_bytes(size: int) -> Tensor:
    """Return ``size`` uninitialised bytes, (byte,) uint8."""
    return torch.empty(size, dtype=torch.uint8, device="cpu")


@dataclass(eq=False)
class Block:
    """Large piece of memory, filled from its beginning."""

    memory: Tensor  # (byte,) uint8
    filled: int = 0  # bytes
    pieces: int = 0  # in use

    @property
    def free(self) -> int:
        """Bytes behind the last piece."""
        return len(self.memory) - self.filled


@dataclass
class BlockPool:
    """Empty blocks, for owners that may run in several threads."""

    blocks: list[Block] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def borrow(self, size: int) -> Block:
        """Return an empty block of at least ``size`` bytes, a new one where none is free."""
        with self.lock:
            for index, block in enumerate(self.blocks):
                if len(block.memory) >= size:
                    return self.blocks.pop(index)
        return Block(new_bytes(max(BLOCK_BYTES, size)))

    def give_back(self, block: Block) -> None:
        """Offer an empty block to the next owner."""
        with self.lock:
            self.blocks.append(block)


@dataclass(eq=False)
class MemoryPieces:
    """Pieces of memory of one owner, by number."""

    pool: BlockPool = field(default_factory=BlockPool)
    current: Block | None = None  # being filled
    block_of: dict[int, Block] = field(default_factory=dict)  # by piece

    def reserve(self, size: int) -> Tensor:
        """Return ``size`` bytes to be filled, (byte,) uint8; they are free until `book`."""
        if self.current is None or self.current.free < size:
            self.current = self.pool.borrow(size)
        start = self.current.filled
        return self.current.memory[start : start + size]

    def book(self, number: int, size: int) -> None:
        """Make the ``size`` bytes that `reserve` returned last the piece ``number``."""
        assert self.current is not None
        self.current.filled += size
        self.current.pieces += 1
        self.block_of[number] = self.current

    def release(self, number: int) -> None:
        """Free the memory of a piece; its block is used again once its last piece is released."""
        block = self.block_of.pop(number, None)
        if block is None:
            return
        block.pieces -= 1
        if block.pieces == 0:
            block.filled = 0
            if block is not self.current:
                self.pool.give_back(block)

    def release_all(self) -> None:
        """Free the memory of all pieces."""
        for number in list(self.block_of):
            self.release(number)
