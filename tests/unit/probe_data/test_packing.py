"""Packed tensors: the same values in one buffer, which leaves a worker and is pinned as a whole."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import torch
from noise_set import Noise, feed
from torch import Tensor

from nd_plugin import Preprocess, Settings
from nd_plugin.probe_data.batch import Collation, PackedBatch
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.packing import ALIGNMENT, PackedTensors

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
    decoder = whole._decoder(pictures=True, annotated=True)
    items = [decoder[0, image] for image in range(3)]
    return Collation(as_tensors)(items)


def test_tensors_come_back_as_they_were() -> None:
    packed = PackedTensors.of(TENSORS)
    for tensor, original in zip(packed.unpack(), TENSORS, strict=True):
        assert tensor.dtype == original.dtype and tensor.is_contiguous()
        assert torch.equal(tensor, original)
        if tensor.numel():
            assert tensor.untyped_storage().data_ptr() == packed.buffer.data_ptr()
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
        for tensor in [packed.packed.buffer, *packed.batch.tensors]
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


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_from_workers_lie_in_shared_memory(workers: int) -> None:
    for batch in feed(Noise(), workers=workers).batches(
        annotated=True, as_tensors=True
    ):
        for tensor in batch.tensors:
            assert tensor.is_shared() == (workers > 0)


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
