"""Packed tensors: the same values in one piece of memory, which is pinned as a whole."""

from __future__ import annotations

import gc
import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from noise_set import Noise, feed
from torch import Tensor

from nd_plugin import Preprocess, Settings
from nd_plugin.probe_data.batch import Collation, PackedBatch
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.packing import (
    ALIGNMENT,
    PackedTensors,
    SharedSlots,
    Slot,
    reserve_slots,
)

pytestmark = pytest.mark.filterwarnings(
    # more workers than processors
    "ignore:This DataLoader will create:UserWarning"
)

TENSORS = [
    torch.arange(7, dtype=torch.uint8),
    torch.arange(6, dtype=torch.int64).view(2, 3),
    torch.empty(0, 3, dtype=torch.int16),
    torch.tensor(5, dtype=torch.int32),
    torch.arange(12, dtype=torch.int16).view(3, 4).T,
]


def packed_items(as_tensors: bool = True) -> PackedBatch:
    whole = feed(Noise(3))
    decoder = whole.decoder(pictures=True, annotated=True)
    items = [decoder[0, image] for image in range(3)]
    return Collation(as_tensors, range(1))(items)


def test_tensors_come_back_as_they_were() -> None:
    packed = PackedTensors.of(TENSORS)
    for tensor, original in zip(packed.unpack(), TENSORS, strict=True):
        assert tensor.dtype == original.dtype and tensor.is_contiguous()
        assert torch.equal(tensor, original)
        if tensor.numel():
            assert tensor.untyped_storage().data_ptr() == packed.memory.data_ptr()
        assert tensor.storage_offset() * tensor.itemsize % ALIGNMENT == 0


@pytest.mark.parametrize("tensors", [[], [torch.empty(0)]])
def test_nothing_can_be_packed(tensors: list[Tensor]) -> None:
    unpacked = PackedTensors.of(tensors).unpack()
    assert [tensor.shape for tensor in unpacked] == [
        tensor.shape for tensor in tensors
    ]


def test_a_batch_is_pickled_with_one_tensor() -> None:
    packed = packed_items()
    shared = [
        tensor
        for tensor in [packed.packed.memory, *packed.batch.tensors]
        if tensor.numel()
    ]
    assert len(shared) == 1
    batch = pickle.loads(ForkingPickler.dumps(packed)).unpack()
    for tensor, original in zip(
        batch.tensors, packed.unpack().tensors, strict=True
    ):
        assert torch.equal(tensor, original)


def test_a_batch_is_pinned_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = []

    def pin_memory(tensor: Tensor) -> Tensor:
        pinned.append(tensor.clone())
        return pinned[-1]

    packed = packed_items()
    monkeypatch.setattr(Tensor, "pin_memory", pin_memory)
    batch = packed.pin_memory().unpack()
    (buffer,) = pinned
    for tensor, original in zip(
        batch.tensors, packed.unpack().tensors, strict=True
    ):
        assert torch.equal(tensor, original)
        assert tensor.untyped_storage().data_ptr() == buffer.data_ptr()
    assert len(batch.annotations) == 1


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True)])
def test_memory_is_pinned_for_a_gpu_only(
    monkeypatch: pytest.MonkeyPatch, device: str, pinned: bool
) -> None:
    options: list[bool] = []

    class Loader:
        def __init__(self, decoder: object, **keywords: object) -> None:
            options.append(bool(keywords["pin_memory"]))

        def __iter__(self) -> object:
            return iter(())

    monkeypatch.setattr("nd_plugin.probe_data.batches.DataLoader", Loader)
    whole = Feed.of(
        Noise(),  # type: ignore[arg-type]
        Preprocess(),
        Settings(),
        torch.device(device),
        workers=0,
    )
    list(whole.batches(annotated=True))
    assert options == [pinned]


def test_tensors_take_their_turn_in_the_slots() -> None:
    slots = SharedSlots(2, 1000)
    packed = [
        PackedTensors.of([torch.full((10,), turn)], slots, turn)
        for turn in range(3)
    ]
    # the third has taken the slot of the first
    assert [unpack_one(of_turn)[0] for of_turn in packed] == [2, 1, 2]
    assert [memory.number for memory in map(slot_of, packed)] == [0, 1, 0]
    (unpacked,) = packed[1].unpack()
    slot_of(packed[1]).buffer.zero_()
    assert unpacked.tolist() == [1] * 10
    copy = pickle.loads(pickle.dumps(packed[0]))
    assert unpack_one(copy) == [2] * 10 and len(pickle.dumps(packed[0])) < 1000


def unpack_one(packed: PackedTensors) -> list[int]:
    (tensor,) = packed.unpack()
    values: list[int] = tensor.tolist()
    return values


def slot_of(packed: PackedTensors) -> Slot:
    assert isinstance(packed.memory, Slot)
    return packed.memory


@pytest.mark.parametrize(("length", "in_slot"), [(1024, True), (1025, False)])
def test_what_is_larger_than_a_slot_has_a_buffer_of_its_own(
    length: int, in_slot: bool
) -> None:
    slots = SharedSlots(3, 1000)
    packed = PackedTensors.of([torch.ones(length).byte()], slots, 1)
    assert isinstance(packed.memory, Slot) == in_slot
    assert unpack_one(packed) == [1] * length


@pytest.mark.parametrize("error", [OSError("no memory"), OverflowError("too much")])
def test_no_slots_where_there_is_no_memory(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("mmap.mmap", refuse)
    assert reserve_slots(3, 1000) is None
    batches = list(feed(Noise(), workers=1).batches(annotated=True))
    assert [len(batch.pixels) for batch in batches] == [3, 3, 1]


def test_slots_are_given_back() -> None:
    slots = reserve_slots(3, 1000)
    assert slots is not None and SharedSlots.opened(slots.key) is slots
    key = slots.key
    del slots
    gc.collect()
    with pytest.raises(KeyError):
        SharedSlots.opened(key)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("size", [(8, 10), (1, 1)])
def test_batches_that_are_held_do_not_change(
    size: tuple[int, int], workers: int
) -> None:
    """There are more batches than slots; where images are small, batches do not fit into these."""
    noise = Noise(23)
    expected = feed(noise, size=size, batch=1).batches(
        annotated=True, as_tensors=True
    )
    several = feed(noise, size=size, batch=1, workers=workers)
    batches = list(several.batches(annotated=True, as_tensors=True))
    for batch, alone in zip(batches, expected, strict=True):
        assert batch.number == alone.number
        for tensor, original in zip(batch.tensors, alone.tensors, strict=True):
            assert torch.equal(tensor, original)


def test_the_callers_default_device_is_not_used() -> None:
    torch.set_default_device("meta")
    try:
        for workers in (0, 1):
            for batch in feed(Noise(), workers=workers).batches(
                annotated=True, as_tensors=True
            ):
                assert {tensor.device.type for tensor in batch.tensors} == {"cpu"}
    finally:
        torch.set_default_device(None)
