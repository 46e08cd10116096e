"""Fields of a large struct in a MATLAB 5 file, without making arrays of the others.

An index of a data set may hold a few names beside matrices of gigabytes; SciPy reads a struct as a
whole. Here the wanted fields are copied, as they are stored, to a small file of their own, which is
then checked and read like any other.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from itertools import islice

from nd_plugin.borders.matlab_check import (
    HEAD,
    HEADER,
    MATRIX,
    STRUCT,
    Element,
    UntrustedFile,
    arrays_of,
    byte_order_of,
    elements_of,
)

INT8 = 1
NAME = 2  # position of an array's name among its elements


def file_of_fields(
    content: bytes, variable: str, fields: Collection[str], most_bytes: int
) -> bytes:
    """Return a MATLAB 5 file whose variables are these fields of a struct, those that it has.

    Raises UntrustedFile for a file that is cut short or unpacks to more than ``most_bytes``, and
    for one that holds no single struct of this name.
    """
    order = byte_order_of(content, most_bytes)
    for array in arrays_of(content, order, most_bytes):
        elements = elements_of(array.content, order)
        head = list(islice(elements, HEAD))
        if len(head) < HEAD or bytes(head[NAME].content) != variable.encode():
            continue
        names = _field_names(head, variable, order)
        copies = []
        for name, field in zip(names, elements, strict=False):
            if name in fields and field.kind == MATRIX:
                copies.append(_named(field, name, order))
        return content[:HEADER] + b"".join(copies)
    raise UntrustedFile(f"it has no struct {variable!r}")


def _field_names(head: list[Element], variable: str, order: str) -> list[str]:
    """Return the names of a struct's fields. Raises UntrustedFile for what is no single struct."""
    flags, dimensions, _, size, names = (element.content for element in head)
    is_struct = len(flags) >= 4 and flags[0 if order == "<" else 3] == STRUCT
    ones = struct.pack(f"{order}2i", 1, 1)
    if not is_struct or bytes(dimensions) != ones or len(size) != 4:
        raise UntrustedFile(f"its {variable!r} is no single struct")
    length = struct.unpack(f"{order}i", size)[0]
    if length < 1:
        raise UntrustedFile(f"the fields of its {variable!r} have no names")
    texts = []
    for start in range(0, len(names), length):
        text = bytes(names[start : start + length]).partition(b"\0")[0]
        texts.append(text.decode("ascii", "replace"))
    return texts


def _named(array: Element, name: str, order: str) -> bytes:
    """Return an array as it is stored, with a name: those of fields have none."""
    parts = []
    for position, element in enumerate(elements_of(array.content, order)):
        is_name = position == NAME
        kind = INT8 if is_name else element.kind
        content = name.encode() if is_name else bytes(element.content)
        parts.append(_stored(kind, content, order))
    return _stored(MATRIX, b"".join(parts), order)


def _stored(kind: int, content: bytes, order: str) -> bytes:
    """Return an element with its tag and its padding."""
    tag = struct.pack(f"{order}II", kind, len(content))
    return tag + content + bytes(-len(content) % 8)
