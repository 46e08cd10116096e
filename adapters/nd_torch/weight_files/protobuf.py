"""Protocol buffers by field numbers: only what is asked for is read, and nothing is unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
LONGEST_VARINT = 10


class BadMessage(Exception):
    """Bytes that are no message of protocol buffers, with the reason."""


@dataclass(frozen=True)
class Field:
    """Field of a message; of numbers of a fixed size all that follow each other."""

    number: int
    wire_type: int
    value: int  # of a varint
    content: memoryview  # of any other type: bytes, or one number behind the other

    def integers(self) -> Iterator[int]:
        """Yield the integers of a field of varints, packed or single."""
        if self.wire_type == VARINT:
            yield self.value
        elif self.wire_type == BYTES:
            position = 0
            while position < len(self.content):
                value, position = _varint(self.content, position)
                yield value
        else:
            raise BadMessage(f"field {self.number} is not of integers")

    def text(self) -> str:
        """Return the field's bytes as a text."""
        if self.wire_type != BYTES:
            raise BadMessage(f"field {self.number} is no text")
        return bytes(self.content).decode("utf-8", "replace")


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in their order. Raises BadMessage."""
    position = 0
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        value = 0
        content = message[:0]
        if wire_type == VARINT:
            value, position = _varint(message, position)
        elif wire_type == BYTES:
            length, position = _varint(message, position)
            content = message[position : position + length]
            if number == 0 or len(content) < length:
                raise BadMessage("a field reaches beyond the end of its message")
            position += length
        elif wire_type in FIXED_SIZES:
            tag_bytes = bytes(message[start:position])
            size = FIXED_SIZES[wire_type]
            content = _row_of_numbers(message[start:], tag_bytes, size)
            if not content:
                raise BadMessage("a number reaches beyond the end of its message")
            position = start + len(content) // size * (size + len(tag_bytes))
        else:
            raise BadMessage(f"a field has the unknown type {wire_type}")
        yield Field(number, wire_type, value, content)


def _row_of_numbers(message: memoryview, tag: bytes, item_size: int) -> memoryview:
    """Return the bytes of the numbers at the beginning that each stand behind the same tag.

    There may be millions, where a writer has not packed them.
    """
    stride = len(tag) + item_size
    most = len(message) // stride
    rows = np.frombuffer(message[: most * stride], np.uint8).reshape(most, stride)
    tag_bytes = np.frombuffer(tag, np.uint8)
    count = 0
    # pieces of twice the size each: a short row is not compared with all that follows it
    piece = 1
    while count < most:
        tags = rows[count : count + piece, : len(tag)]
        is_tagged = (tags == tag_bytes).all(axis=1)
        if not is_tagged.all():
            count += int(np.argmin(is_tagged))
            break
        count += len(is_tagged)
        piece *= 2
    return memoryview(rows[:count, len(tag) :].tobytes())


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return an integer, and the position behind it. Raises BadMessage."""
    value = 0
    for place, byte in enumerate(message[position : position + LONGEST_VARINT]):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value & (2**64 - 1), position + place + 1
    raise BadMessage("an integer does not end")
