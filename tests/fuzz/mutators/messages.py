"""Changes of messages of protocol buffers: fields, with lengths that fit."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from fuzz.cases import repaired
from fuzz.mutators.plain import EXTREMES, PLAIN

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DEEPEST = 12
NUMBERS = (0, 1, 2, 3, 5, 7, 8, 10, 11, 16, 63, 1000, 2**31, 2**63 - 1, 2**64 - 1)


@dataclass
class Field:
    """Field of a message: a number, bytes, or a message that may be one."""

    number: int
    wire_type: int
    value: int = 0
    content: bytes = b""
    # of bytes that can be taken apart as a message; None: they are not
    fields: list[Field] | None = field(default=None)

    def encoded(self) -> bytes:
        """Return the field with its tag."""
        tag = _varint(self.number << 3 | self.wire_type)
        if self.wire_type == VARINT:
            return tag + _varint(self.value)
        content = self.content if self.fields is None else write_fields(self.fields)
        if self.wire_type == BYTES:
            return tag + _varint(len(content)) + content
        return tag + content


def read_fields(message: bytes, depth: int = 0) -> list[Field]:
    """Take a message apart, and bytes that look like messages. Raises ValueError."""
    fields: list[Field] = []
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        entry = Field(tag >> 3, tag & 7)
        if entry.number == 0:
            raise ValueError("no field")
        if entry.wire_type == VARINT:
            entry.value, position = _read_varint(message, position)
        elif entry.wire_type == BYTES:
            length, position = _read_varint(message, position)
            entry.content = message[position : position + length]
            position += length
            if depth < DEEPEST and length > 1:
                entry.fields = _inner_fields(entry.content, depth + 1)
        elif entry.wire_type in (FIXED32, FIXED64):
            length = 4 if entry.wire_type == FIXED32 else 8
            entry.content = message[position : position + length]
            position += length
        else:
            raise ValueError("no message")
        if position > len(message):
            raise ValueError("cut off")
        fields.append(entry)
    return fields


def _inner_fields(content: bytes, depth: int) -> list[Field] | None:
    # texts are hardly ever valid messages, but numbers may be
    if all(32 <= byte < 127 for byte in content):
        return None
    try:
        return read_fields(content, depth)
    except ValueError:
        return None


def write_fields(fields: list[Field]) -> bytes:
    """Return a message of fields."""
    return b"".join(entry.encoded() for entry in fields)


def _places(fields: list[Field]) -> Iterator[tuple[list[Field], int]]:
    for index, entry in enumerate(fields):
        yield fields, index
        if entry.fields is not None:
            yield from _places(entry.fields)


def _place(fields: list[Field], random: Random) -> tuple[list[Field], int]:
    return random.choice(list(_places(fields)))


def change_field(content: bytes, random: Random) -> bytes:
    """Change a number, or bytes of a field."""
    fields = read_fields(content)
    siblings, index = _place(fields, random)
    entry = siblings[index]
    if entry.wire_type == VARINT:
        near = (entry.value + 1, max(entry.value - 1, 0))
        entry.value = random.choice((*NUMBERS, *near)) & 2**64 - 1
    elif entry.fields is None:
        entry.content = random.choice(PLAIN).mutate(entry.content, random)
        if entry.wire_type != BYTES:
            width = 4 if entry.wire_type == FIXED32 else 8
            entry.content = entry.content[:width].ljust(width, b"\xff")
    else:
        entry.content = write_fields(entry.fields)
        entry.content = random.choice(PLAIN).mutate(entry.content, random)
        entry.fields = None
    return write_fields(fields)


def drop_field(content: bytes, random: Random) -> bytes:
    """Leave a field out."""
    fields = read_fields(content)
    siblings, index = _place(fields, random)
    del siblings[index]
    return write_fields(fields)


def repeat_field(content: bytes, random: Random) -> bytes:
    """Repeat a field, or move it among its neighbours."""
    fields = read_fields(content)
    siblings, index = _place(fields, random)
    target = random.randrange(len(siblings) + 1)
    siblings[target:target] = [siblings[index]] * random.choice((1, 1, 1, 20))
    return write_fields(fields)


def exchange_fields(content: bytes, random: Random) -> bytes:
    """Put a field where another one was, perhaps of another message."""
    fields = read_fields(content)
    first, first_index = _place(fields, random)
    second, second_index = _place(fields, random)
    number = first[first_index].number
    source = second[second_index]
    copied = read_fields(source.encoded())[0]
    first[first_index] = copied
    if random.random() < 0.7:
        copied.number = number
    return write_fields(fields)


def exchange_names(content: bytes, random: Random) -> bytes:
    """Put a text where another one was: values are confused, graphs become cyclic."""
    fields = read_fields(content)
    texts = [
        siblings[index]
        for siblings, index in _places(fields)
        if siblings[index].wire_type == BYTES and siblings[index].fields is None
    ]
    target, source = random.choice(texts), random.choice(texts)
    target.content = random.choice(
        (
            source.content,
            source.content,
            source.content,
            b"",
            b"x",
            b"\xff",
            b"Loop",
            b"If",
        )
    )
    return write_fields(fields)


def change_number(content: bytes, random: Random) -> bytes:
    """Set a number of any field to an extreme, as an integer or a float."""
    fields = read_fields(content)
    numbers = [
        siblings[index]
        for siblings, index in _places(fields)
        if siblings[index].wire_type != BYTES
    ]
    entry = random.choice(numbers)
    entry.value = random.choice(EXTREMES) & 2**64 - 1
    value = random.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
    if entry.wire_type == FIXED32:
        entry.content = struct.pack("<f", value)
    elif entry.wire_type == FIXED64:
        entry.content = struct.pack("<d", value)
    return write_fields(fields)


def nest_message(content: bytes, random: Random) -> bytes:
    """Nest a message within itself, many times."""
    fields = read_fields(content)
    siblings, index = _place(fields, random)
    entry = siblings[index]
    for _ in range(random.choice((2, 20, 400))):
        entry = Field(siblings[index].number, BYTES, content=entry.encoded())
    siblings[index] = entry
    return write_fields(fields)


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("cut off")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 2**64 - 1, position
    raise ValueError("no number")


MESSAGES = repaired(
    {
        change_field: 6,
        drop_field: 4,
        repeat_field: 2,
        exchange_fields: 3,
        exchange_names: 6,
        change_number: 4,
        nest_message: 1,
    }
)
