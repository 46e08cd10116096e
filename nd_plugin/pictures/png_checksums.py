"""Checksums of PNG files: of every chunk, also of those that Pillow passes over.

Pillow checks the chunks before the pixels, but not those of the pixels (IDAT): a flipped bit there
may change a label, and the picture can be decoded all the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from typing import BinaryIO

from nd_plugin.pictures.opening import PictureSource, check_regular

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 8  # of a chunk: length and name
CHECKSUM_BYTES = 4
LAST_CHUNK = b"IEND"
PIECE = 2**20  # bytes read at once
REMEDY = "copy or export it again"


class DamagedPicture(ValueError):
    """PNG file that is not what its checksums were computed of."""


_is_checked: ContextVar[bool] = ContextVar("checksums_are_checked", default=False)


@contextmanager
def checked_checksums(checked: bool = True) -> Iterator[None]:
    """Have `read_mask` check the checksums of PNG files, where ``checked``.

    It is what ``strict`` does, and a check of a whole concept set::

        with checked_checksums():
            concepts.annotation(index)
    """
    token = _is_checked.set(checked)
    try:
        yield
    finally:
        _is_checked.reset(token)


def checksums_are_checked() -> bool:
    """Return whether masks are to be checked, as `checked_checksums` says."""
    return _is_checked.get()


def check_png_checksums(source: PictureSource, what: str) -> None:
    """Check all chunks of a PNG file; a file of another format passes.

    Raises DamagedPicture, naming the file as ``what``, for a checksum that does not fit its chunk,
    and for a file that ends before its last one. Bytes behind that are no part of the picture.
    """
    with _opened(source) as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return
        name = b""
        while name != LAST_CHUNK:
            name = _check_chunk(file, what)


def _opened(source: PictureSource) -> BinaryIO:
    if isinstance(source, bytes):
        return BytesIO(source)
    check_regular(source)
    return source.open("rb")


def _check_chunk(file: BinaryIO, what: str) -> bytes:
    """Check the chunk at the file's position; return its name."""
    start = file.tell()
    header = file.read(HEADER_BYTES)
    length = int.from_bytes(header[:4], "big")
    name = header[4:]
    computed = zlib.crc32(name)
    bytes_left = length
    while bytes_left:
        piece = file.read(min(bytes_left, PIECE))
        if not piece:
            break
        computed = zlib.crc32(piece, computed)
        bytes_left -= len(piece)
    stored = file.read(CHECKSUM_BYTES)
    if len(stored) < CHECKSUM_BYTES:
        raise DamagedPicture(
            f"{what} is damaged: its chunk at byte {start} is cut off, or its length is wrong; "
            f"{REMEDY}"
        )
    if int.from_bytes(stored, "big") != computed:
        raise DamagedPicture(
            f"{what} is damaged: the checksum of its chunk {name!r} at byte {start} does not fit; "
            f"{REMEDY}"
        )
    return name
