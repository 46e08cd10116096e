"""Pieces of memory do not overlap, and blocks are used again once all their pieces are released."""

from __future__ import annotations

import pytest
import torch

from nd_plugin.machine import memory_blocks
from nd_plugin.machine.memory_blocks import BlockPool, MemoryPieces


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_blocks, "BLOCK_BYTES", 100)


def add(pieces: MemoryPieces, number: int, size: int) -> torch.Tensor:
    """A piece filled with its number."""
    memory = pieces.reserve(size)
    assert memory.dtype == torch.uint8 and memory.shape == (size,)
    memory.fill_(number)
    pieces.book(number, size)
    return memory


def address(memory: torch.Tensor) -> int:
    return memory.untyped_storage().data_ptr()


def test_pieces_keep_what_they_hold() -> None:
    pieces = MemoryPieces()
    sizes = [40, 60, 8, 250, 92, 1, 0, 50]
    memories = [add(pieces, number, size) for number, size in enumerate(sizes)]
    for number, memory in enumerate(memories):
        assert (memory == number).all()
    blocks = set(pieces.block_of.values())
    assert sorted(block.pieces for block in blocks) == [1, 1, 1, 2, 3]
    assert sum(block.filled for block in blocks) == sum(sizes)


def test_memory_that_is_not_booked_is_reserved_again() -> None:
    pieces = MemoryPieces()
    assert pieces.reserve(30).data_ptr() == pieces.reserve(20).data_ptr()
    pieces.book(0, 16)
    assert pieces.reserve(8).storage_offset() == 16


def test_a_block_returns_to_the_pool_with_its_last_piece() -> None:
    pool = BlockPool()
    pieces = MemoryPieces(pool)
    first = add(pieces, 1, 40)
    add(pieces, 2, 60)
    add(pieces, 3, 10)
    pieces.release(1)
    assert pool.blocks == []
    pieces.release(2)
    (block,) = pool.blocks
    assert address(block.memory) == address(first) and (
        block.filled,
        block.pieces,
    ) == (
        0,
        0,
    )
    assert address(add(MemoryPieces(pool), 4, 100)) == address(first), (
        "another owner"
    )
    assert pool.blocks == []


def test_the_block_that_is_being_filled_stays_and_starts_anew() -> None:
    pieces = MemoryPieces()
    add(pieces, 1, 40)
    pieces.release(1)
    assert pieces.pool.blocks == [] and pieces.reserve(100).storage_offset() == 0


def test_a_block_of_the_pool_is_large_enough() -> None:
    pool = BlockPool()
    small = pool.borrow(10)
    large = pool.borrow(500)
    assert (len(small.memory), len(large.memory)) == (100, 500)
    pool.give_back(small)
    pool.give_back(large)
    assert pool.borrow(101) is large
    assert pool.borrow(100) is small
    assert pool.borrow(1) not in (small, large)


def test_all_pieces_are_released_and_unknown_ones_ignored() -> None:
    pieces = MemoryPieces()
    for number in range(5):
        add(pieces, number, 60)
    pieces.release(17)
    pieces.release_all()
    assert pieces.block_of == {} and len(pieces.pool.blocks) == 4
    assert pieces.current is not None and pieces.current.free == 100
