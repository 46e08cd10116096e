"""MATLAB 5 files of strangers, checked before SciPy reads them.

SciPy believes what a file says of itself: a few bytes can claim an array of 2^40 cells, or unpack
to gigabytes. Here the file is unpacked within a limit, and every array is compared with the bytes
that it has. Objects and function handles are refused; nothing is executed. Format: MathWorks,
MAT-File Format (level 5), data elements of a tag (type, bytes) and their content::

    miMATRIX ┬ flags: class of the array     each cell of an array is
             ├ dimensions                    an element of 8 bytes or more,
             ├ name                          each number 1 byte or more
             └ cells, fields or numbers
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

HEADER = 128  # bytes
MATRIX = 14
COMPRESSED = 15
# int8 to uint32, single, double, int64, uint64, UTF-8 to UTF-32
NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18}
CELL, STRUCT, CHAR = 1, 2, 4
NUMERIC = range(6, 16)  # double to uint64
# elements before the values of an array: flags, dimensions, name; of a struct the size of its
# fields' names, and these
HEAD = 5
MOST_BYTES = 2**26  # of a file, and of what it unpacks to
# flags beside an array's class, of numbers and texts that are read
GLOBAL, LOGICAL = 0x400, 0x200
FEWEST_DIMENSIONS = 2  # of MATLAB's arrays
MOST_DIMENSIONS = 32  # as NumPy's arrays had until version 2
DEEPEST = 8  # levels of cells and structs


class UntrustedFile(Exception):
    """File that says something else of itself than it holds, or that is too large."""


@dataclass(frozen=True)
class Element:
    """Data element: the number of its type, and its content without padding."""

    kind: int
    content: memoryview


def check_matlab_file(content: bytes, most_bytes: int | None = None) -> None:
    """Raise UntrustedFile for a file that SciPy should not read.

    ``most_bytes`` limits the file and what it unpacks to; None: `MOST_BYTES`.
    """
    limit = MOST_BYTES if most_bytes is None else most_bytes
    order = byte_order_of(content, limit)
    for array in arrays_of(content, order, limit):
        _check(array, order, depth=0)


def arrays_of(content: bytes, order: str, most_bytes: int) -> Iterator[Element]:
    """Yield the elements of a file, those that are compressed unpacked within a limit."""
    budget = most_bytes
    for element in elements_of(memoryview(content)[HEADER:], order):
        if element.kind != COMPRESSED:
            yield element
            continue
        unpacked = _unpacked(element.content, budget, most_bytes)
        budget -= len(unpacked)
        yield from elements_of(memoryview(unpacked), order)


def byte_order_of(content: bytes, most_bytes: int) -> str:
    """Return a file's byte order, as `struct` writes it. Raises UntrustedFile."""
    if len(content) > most_bytes:
        raise UntrustedFile(f"it has more than {most_bytes} bytes")
    if content[126:128] not in (b"IM", b"MI"):
        raise UntrustedFile("its byte order is not recorded")
    return "<" if content[126:128] == b"IM" else ">"


def _unpacked(content: memoryview, budget: int, limit: int) -> bytes:
    """Unpack an element within a budget of bytes, what is left of the limit."""
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(content, budget + 1)
    except zlib.error as error:
        raise UntrustedFile(f"it cannot be unpacked: {error}") from error
    if len(unpacked) > budget:
        raise UntrustedFile(f"it unpacks to more than {limit} bytes")
    return unpacked


def elements_of(content: memoryview, order: str) -> Iterator[Element]:
    """Yield the data elements of a part of a file. Raises UntrustedFile where one is cut short."""
    start = 0
    while start < len(content):
        if len(content) - start < 8:
            raise UntrustedFile("it is cut short")
        kind, length = struct.unpack_from(f"{order}II", content, start)
        first = start + 8
        if kind >> 16:  # a small element: content of up to 4 bytes within the tag
            kind, length = kind & 0xFFFF, kind >> 16
            first = start + 4
        end = first + length
        if end > len(content) or (first == start + 4 and length > 4):
            raise UntrustedFile("it is cut short")
        yield Element(kind, content[first:end])
        is_padded = kind != COMPRESSED
        start = start + 8 if first == start + 4 else end
        if is_padded:
            start += -start % 8


def _check(element: Element, order: str, depth: int) -> None:
    """Check an element, and those within an array."""
    if element.kind in NUMBERS:
        return
    if element.kind != MATRIX:
        raise UntrustedFile(
            f"it holds an element of the unknown type {element.kind}"
        )
    if depth > DEEPEST:
        raise UntrustedFile(f"its cells are nested more than {DEEPEST} deep")
    elements = elements_of(element.content, order)
    head = list(islice(elements, HEAD))
    if not head:
        return  # an empty cell
    _check_array(head, len(element.content), order)
    for part in chain(head, elements):
        _check(part, order, depth + 1)


def _check_array(head: list[Element], size: int, order: str) -> None:
    """Compare the class and the dimensions of an array with its bytes."""
    if len(head) < 3 or len(head[0].content) < 8 or len(head[1].content) % 4:
        raise UntrustedFile("an array has no class, dimensions or name")
    (flags,) = struct.unpack_from(f"{order}I", head[0].content)
    array_class = flags & 0xFF
    if array_class not in (CELL, STRUCT, CHAR, *NUMERIC):
        raise UntrustedFile(
            f"it holds an object, a function or a sparse array (class {array_class})"
        )
    # SciPy believes that complex numbers have a second part, and reads beyond its memory
    if flags & ~(0xFF | LOGICAL | GLOBAL):
        raise UntrustedFile(
            f"it holds complex numbers, or an array with the unknown flags {flags:#x}"
        )
    count = len(head[1].content) // 4
    # without any, SciPy reads beyond its memory
    if not FEWEST_DIMENSIONS <= count <= MOST_DIMENSIONS:
        raise UntrustedFile(f"it has an array of {count} dimensions")
    dimensions = struct.unpack_from(f"{order}{count}i", head[1].content)
    fields = _field_count(head, order) if array_class == STRUCT else 1
    if min(dimensions, default=0) < 0 or math.prod(dimensions) * fields > size:
        raise UntrustedFile(
            f"it claims an array of {'x'.join(map(str, dimensions))} in {size} bytes"
        )


def _field_count(head: list[Element], order: str) -> int:
    """Return the number of a struct's fields, whose names have one size; 1 where none is named."""
    if len(head) < HEAD or len(head[3].content) < 4:
        return 1
    name_size: int = struct.unpack_from(f"{order}i", head[3].content)[0]
    return max(1, len(head[4].content) // max(1, name_size))
