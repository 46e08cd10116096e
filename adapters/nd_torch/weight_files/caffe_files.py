"""Files of Caffe (``.caffemodel``): the layers of a NetParameter that have numbers.

Field numbers are those of caffe.proto, of layers as Caffe has written them since 2014
(LayerParameter) and before (V1LayerParameter).
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nd_torch.weight_files.protobuf import (
    BYTES,
    VARINT,
    BadMessage,
    Field,
    fields,
)

# of NetParameter
LAYERS, V1_LAYERS = 100, 2
# of BlobProto
SHAPE, DATA, DOUBLE_DATA = 7, 5, 8
LEGACY_SIZES = (1, 2, 3, 4)  # num, channels, height, width
DIM = 1  # of BlobShape
MOST_DIMENSIONS = 32  # as in Caffe
DTYPES = {DATA: torch.float32, DOUBLE_DATA: torch.float64}
V0_LAYER = 1  # of V1LayerParameter: a layer as before 2013, inside
V1_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}
V0 = (
    "it is of Caffe's format of 2013 (V0): bring it up to date with Caffe's "
    "upgrade_net_proto_binary"
)


@dataclass(frozen=True)
class LayerFields:
    """Field numbers of a layer's message."""

    name: int
    kind: int
    blobs: int


LAYER_FIELDS = {LAYERS: LayerFields(1, 2, 7), V1_LAYERS: LayerFields(4, 5, 6)}


@dataclass(frozen=True)
class Blob:
    """Array of a layer. Of a legacy blob the shape has four sizes, the first of which may be 1."""

    shape: tuple[int, ...]
    is_legacy: bool
    pieces: tuple[memoryview, ...]
    dtype: torch.dtype

    def load(self) -> Tensor:
        """Return the numbers as float32, in the blob's shape."""
        data = bytearray().join(self.pieces)
        if not data:
            return torch.empty(self.shape)
        return torch.frombuffer(data, dtype=self.dtype).float().reshape(self.shape)


@dataclass(frozen=True)
class CaffeLayer:
    """Layer of a Caffe file that has blobs."""

    name: str
    kind: str  # "" of a type that has no name here
    blobs: tuple[Blob, ...]


def read_caffe_layers(path: Path) -> list[CaffeLayer]:
    """Return the layers of a Caffe file that have blobs, in their order.

    The file is mapped: numbers are read where a blob is loaded. Raises BadMessage, OSError.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise BadMessage("it is empty")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    layers: list[CaffeLayer] = []
    for field in fields(memoryview(mapped)):
        if field.number in LAYER_FIELDS and field.wire_type == BYTES:
            layer = _read_layer(field.content, LAYER_FIELDS[field.number])
            if layer.blobs:
                layers.append(layer)
    if not layers:
        raise BadMessage(
            "it has no layers with numbers: not a network that Caffe has saved"
        )
    return layers


def _read_layer(message: memoryview, numbers: LayerFields) -> CaffeLayer:
    name = ""
    kind = ""
    blobs: list[Blob] = []
    for field in fields(message):
        if field.number == numbers.name:
            name = field.text()
        elif field.number == numbers.kind:
            kind = _kind_of(field)
        elif field.number == numbers.blobs and field.wire_type == BYTES:
            blobs.append(_read_blob(field.content))
        elif field.number == V0_LAYER and numbers.name != V0_LAYER:
            raise BadMessage(V0)
    return CaffeLayer(name, kind, tuple(blobs))


def _kind_of(field: Field) -> str:
    return (
        V1_TYPES.get(field.value, "") if field.wire_type == VARINT else field.text()
    )


def _read_blob(message: memoryview) -> Blob:
    """Read a blob. Raises BadMessage for a shape that its numbers do not fill."""
    legacy_sizes: dict[int, int] = {}
    shape: tuple[int, ...] | None = None
    pieces: dict[int, list[memoryview]] = {DATA: [], DOUBLE_DATA: []}
    for field in fields(message):
        if field.number in LEGACY_SIZES and field.wire_type == VARINT:
            legacy_sizes[field.number] = field.value
        elif field.number == SHAPE and field.wire_type == BYTES:
            shape = tuple(_dimensions(field.content))
        elif field.number in pieces and field.wire_type != VARINT:
            pieces[field.number].append(field.content)
    is_legacy = shape is None
    if shape is None:
        shape = tuple(legacy_sizes.get(number, 1) for number in LEGACY_SIZES)
    number = DOUBLE_DATA if pieces[DOUBLE_DATA] else DATA
    dtype = DTYPES[number]
    count, beyond = divmod(sum(map(len, pieces[number])), dtype.itemsize)
    if beyond or count != math.prod(shape):
        raise BadMessage(f"a blob of shape {shape} has {count} numbers")
    return Blob(shape, is_legacy, tuple(pieces[number]), dtype)


def _dimensions(message: memoryview) -> Iterator[int]:
    count = 0
    for field in fields(message):
        if field.number != DIM:
            continue
        for size in field.integers():
            count += 1
            if count > MOST_DIMENSIONS:
                raise BadMessage("a blob has more than 32 dimensions")
            yield size
