"""PNG files written byte by byte, of every kind that the format has."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# colour types
GREY = 0
RGB = 2
PALETTE = 3
GREY_ALPHA = 4
RGBA = 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}

Values = npt.NDArray[np.integer]


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", checksum)
    )


def png_bytes(values: Values, bits: int, colour_type: int) -> bytes:
    """A PNG file of these samples, (row, column) or (row, column, sample), of so many bits."""
    rows, columns = values.shape[:2]
    header = struct.pack(">IIBBBBB", columns, rows, bits, colour_type, 0, 0, 0)
    lines = b"".join(b"\0" + packed_line(line, bits) for line in values)
    content = SIGNATURE + chunk(b"IHDR", header)
    if colour_type == PALETTE:
        # no ramp, and dark: what is read has to be the index
        colours = np.random.default_rng(0).integers(0, 9, 3 * 2**bits, np.uint8)
        content += chunk(b"PLTE", colours.tobytes())
    return content + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def packed_line(samples: Values, bits: int) -> bytes:
    """The samples of a line, the first in the highest bits of the first byte."""
    flat = samples.ravel().astype(">u2")
    if bits == 16:
        return flat.tobytes()
    shifts = np.arange(bits)[::-1]
    return np.packbits((flat[:, None] >> shifts) & 1).tobytes()


def save_png(
    path: Path, values: Values, bits: int, colour_type: int = GREY
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(values, bits, colour_type))
