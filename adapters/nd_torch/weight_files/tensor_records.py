"""Tensors as torch pickles them: a place in a storage, whose bytes lie elsewhere in the file."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nd_torch.weight_files.pickle_records import BadPickle, Construction, Reference

REBUILD = "torch._utils._rebuild_"
# of tensors with attributes, and of other classes
REBUILD_TYPE = "torch._tensor._rebuild_from_type_v2"
# called with the tensor that they hold
HOLDERS = (
    "torch.nn.parameter.Parameter",
    "torch.autograd.variable.Variable",  # before torch 0.4
    f"{REBUILD}parameter",
    f"{REBUILD}parameter_with_state",
)
DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
MOST_DIMENSIONS = 64
MOST_REPEATED = 2**24  # numbers of a tensor with more than its storage has: 64 MiB

# of the bytes of a storage, by its key
StorageReader = Callable[["StorageRecord"], bytearray]
MOST_NUMBERS = 2**63 - 1


@dataclass(frozen=True)
class StorageRecord:
    """Storage that a pickle names; a view begins ``offset`` elements into the one of its key."""

    key: str
    dtype: torch.dtype
    count: int  # of elements of the whole storage
    offset: int = 0

    @property
    def byte_count(self) -> int:
        """Size of the whole storage."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class TensorRecord:
    """Tensor that a pickle describes."""

    storage: StorageRecord
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, read_storage: StorageReader, byte_order: str) -> Tensor:
        """Return the tensor, given the bytes of its storage."""
        data = read_storage(self.storage)
        if byte_order != sys.byteorder:
            data = _swapped(data, self.storage.dtype.itemsize)
        if not data:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        numbers = torch.frombuffer(data, dtype=self.storage.dtype)
        values = numbers.as_strided(self.shape, self.strides, self.offset)
        # a part of a storage does not hold the whole in memory
        return values if values.numel() == self.storage.count else values.clone()


def storage_of(identity: Any) -> Any:
    """Return what a persistent identity stands for: a storage, or the class of a pickled module.

    Raises BadPickle.
    """
    if not isinstance(identity, tuple) or len(identity) < 2:
        raise BadPickle("its pickle refers to something that is no storage")
    kind, content, *details = identity
    if kind == "module":
        return content
    if kind != "storage" or len(details) < 3 or not isinstance(content, Reference):
        raise BadPickle("its pickle refers to something that is no storage")
    key, _, count = details[:3]
    dtype = DTYPES.get(content.name)
    if dtype is None:
        return Construction(content, identity)
    _check_integers(count)
    record = StorageRecord(storage_key(key), dtype, count)
    view = details[3] if len(details) > 3 else None
    if view is None:
        return record
    if not isinstance(view, tuple) or len(view) != 3:
        raise BadPickle("its pickle has a damaged view of a storage")
    _check_integers(view[1])
    return replace(record, offset=view[1])


def storage_key(key: Any) -> str:
    """Return the key of a storage as a text. Raises BadPickle for a key of another kind."""
    is_number = type(key) is int and 0 <= key <= MOST_NUMBERS
    if not isinstance(key, str) and not is_number:
        raise BadPickle("its pickle has a storage without a key")
    return str(key)


def is_tensor(value: Any) -> bool:
    """Return whether a value of a pickle stands for a tensor, of whatever kind."""
    if not isinstance(value, Construction):
        return False
    path = value.path
    return path.startswith(REBUILD) or path == REBUILD_TYPE or path in HOLDERS


def tensor_of(value: Any) -> TensorRecord | None:
    """Return the tensor that a value from a pickle describes; None for one of another kind.

    Raises BadPickle for a tensor that reaches beyond its storage.
    """
    while is_tensor(value) and value.path in HOLDERS and value.arguments:
        value = value.arguments[0]
    if not is_tensor(value):
        return None
    arguments = value.arguments
    kind = value.path.removeprefix(REBUILD)
    is_plain = kind in ("tensor", "tensor_v2") and len(arguments) >= 4
    if not is_plain or not isinstance(arguments[0], StorageRecord):
        return None
    storage, offset, shape, strides = arguments[:4]
    shape = _sizes(shape)
    strides = _sizes(strides)
    _check_integers(offset, *shape, *strides)
    record = TensorRecord(storage, storage.offset + offset, shape, strides)
    _check_bounds(record)
    return record


def _sizes(value: Any) -> tuple[Any, ...]:
    """Return a shape or strides, which torch also wraps into a `torch.Size`."""
    if isinstance(value, Construction) and value.arguments:
        value = value.arguments[0]
    if not isinstance(value, tuple | list):
        raise BadPickle("its pickle has a tensor without a shape")
    return tuple(value)


def _check_integers(*values: Any) -> None:
    for value in values:
        if type(value) is not int or not 0 <= value <= MOST_NUMBERS:
            raise BadPickle("its pickle has no size where one belongs")


def _check_bounds(record: TensorRecord) -> None:
    if (
        len(record.shape) != len(record.strides)
        or len(record.shape) > MOST_DIMENSIONS
    ):
        raise BadPickle(
            "its pickle has a tensor whose shape and strides do not agree"
        )
    count = math.prod(record.shape)
    if count == 0:
        return
    last = record.offset
    for size, stride in zip(record.shape, record.strides, strict=True):
        last += (size - 1) * stride
    if last >= record.storage.count:
        raise BadPickle(
            f"its pickle has a tensor of shape {record.shape} that reaches beyond its storage of "
            f"{record.storage.count} numbers"
        )
    if count > max(record.storage.count, MOST_REPEATED):
        raise BadPickle(
            f"its pickle has a tensor of shape {record.shape} that repeats {record.storage.count} "
            "numbers: save it with contiguous()"
        )


def _swapped(data: bytearray, item_size: int) -> bytearray:
    """Return bytes with the order within each element reversed."""
    swapped = bytearray(len(data))
    for position in range(item_size):
        swapped[position::item_size] = data[item_size - 1 - position :: item_size]
    return swapped
