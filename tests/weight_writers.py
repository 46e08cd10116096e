"""Weights files in the layouts of other times, byte by byte: Python 2's torch, and Caffe."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL = b"\x80\x02"
STOP = b"."


def text(value: str) -> bytes:
    """Pickle a ``str`` of Python 2, which is bytes (SHORT_BINSTRING or BINSTRING)."""
    data = value.encode("latin-1")
    if len(data) < 256:
        return b"U" + bytes([len(data)]) + data
    return b"T" + struct.pack("<i", len(data)) + data


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def real(value: float) -> bytes:
    return b"G" + struct.pack(">d", value)


def marked(items: Iterable[bytes], end: bytes) -> bytes:
    return b"(" + b"".join(items) + end


def mapping(entries: Mapping[str, bytes]) -> bytes:
    items = [text(key) + value for key, value in entries.items()]
    return b"}" + marked(items, b"u")


def ordered_dict(entries: Mapping[str, bytes]) -> bytes:
    """Pickle an OrderedDict as Python 2 does: a call with a list of pairs."""
    pairs = [
        b"]" + marked([text(key), value], b"e") for key, value in entries.items()
    ]
    return b"ccollections\nOrderedDict\n]" + marked(pairs, b"e") + b"\x85R"


def tensor(values: Tensor, key: str) -> bytes:
    """Pickle a tensor of a GPU as torch 0.2 does; its numbers follow behind the pickle."""
    storage = marked(
        [
            text("storage"),
            b"ctorch.cuda\nFloatStorage\n",
            text(key),
            text("cuda:0"),
            integer(values.numel()),
            b"N",
        ],
        b"tQ",
    )
    shape = marked(map(integer, values.shape), b"t")
    strides = marked(map(integer, values.contiguous().stride()), b"t")
    arguments = marked([storage, integer(0), shape, strides], b"t")
    return b"ctorch._utils\n_rebuild_tensor\n" + arguments + b"R"


def python2_file(
    state: Mapping[str, Tensor],
    entries: Mapping[str, bytes],
    *,
    wrapper: str = "state_dict",
) -> bytes:
    """Write a checkpoint as torch 0.2 under Python 2: five pickles, and then the numbers."""
    keys = {name: str(94_000_000 + number) for number, name in enumerate(state)}
    tensors = {name: tensor(values, keys[name]) for name, values in state.items()}
    content = mapping({**entries, wrapper: ordered_dict(tensors)})
    sizes = mapping({"int": integer(4), "long": integer(8), "short": integer(2)})
    system = mapping(
        {
            "protocol_version": integer(1001),
            "type_sizes": sizes,
            "little_endian": b"\x88",
        }
    )
    magic = b"\x8a\x0a" + MAGIC_NUMBER.to_bytes(10, "little")
    key_list = b"]" + marked(map(text, keys.values()), b"e")
    pickles = [magic, integer(1001), system, content, key_list]
    data = [PROTOCOL + pickle + STOP for pickle in pickles]
    for values in state.values():
        data.append(struct.pack("<q", values.numel()))
        data.append(values.contiguous().numpy().astype("<f4").tobytes())
    return b"".join(data)


# Caffe


def varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def integer_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def blob(values: Tensor, form: str = "shape") -> bytes:
    """Write a BlobProto: ``shape`` as today, ``legacy`` with four sizes, ``single`` or ``double``.

    ``single`` numbers are not packed, each behind a tag of its own.
    """
    numbers = values.numpy()
    shape = numbers.shape
    if form == "double":
        data = field(8, numbers.astype("<f8").tobytes())
    elif form == "single":
        tagged = np.empty((numbers.size, 5), np.uint8)
        tagged[:, 0] = 5 << 3 | 5
        tagged[:, 1:] = np.frombuffer(
            numbers.astype("<f4").tobytes(), np.uint8
        ).reshape(-1, 4)
        data = tagged.tobytes()
    else:
        data = field(5, numbers.astype("<f4").tobytes())
    if form == "legacy":
        sizes = (1,) * (4 - len(shape)) + shape
        return (
            b"".join(integer_field(i, size) for i, size in enumerate(sizes, 1))
            + data
        )
    dimensions = b"".join(map(varint, shape))
    return data + field(7, field(1, dimensions))


def layer(name: str, kind: str, blobs: Sequence[bytes]) -> bytes:
    """Write a layer as Caffe does since 2014, with fields that are not read among the others."""
    content = field(1, name.encode()) + field(2, kind.encode())
    content += field(3, b"bottom") + field(4, b"top") + integer_field(10, 1)
    content += b"".join(field(7, data) for data in blobs)
    return field(100, content + field(106, integer_field(1, 96)))


def v1_layer(name: str, kind: int, blobs: Sequence[bytes]) -> bytes:
    """Write a layer as Caffe did before 2014."""
    content = field(2, b"bottom") + b"".join(field(6, data) for data in blobs)
    return field(2, content + field(4, name.encode()) + integer_field(5, kind))


def caffe_file(layers: Iterable[bytes]) -> bytes:
    return field(1, b"CaffeNet") + b"".join(layers) + integer_field(5, 1)


def affine_blobs(
    state: Mapping[str, Tensor], name: str, form: str = "shape"
) -> list[bytes]:
    return [blob(state[f"{name}.{part}"], form) for part in ("weight", "bias")]


def random_state(module: torch.nn.Module, seed: int) -> dict[str, Tensor]:
    """Return random numbers for each parameter and buffer of a module that holds floats."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(values.shape, generator=generator)
        for name, values in module.state_dict().items()
        if values.is_floating_point()
    }
