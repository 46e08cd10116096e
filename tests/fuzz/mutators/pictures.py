"""Changes of PNG files: chunks, with checksums that fit, and pixels."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from random import Random

from fuzz.cases import repaired
from fuzz.mutators.plain import PLAIN

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes]  # kind, content
SIDES = (0, 1, 2, 7, 255, 65535, 65536, 20000, 2**31 - 1, 2**32 - 1)
MEBIBYTE = 2**20


def read_chunks(content: bytes) -> list[Chunk]:
    """Return the chunks of a PNG file. Raises ValueError for what is none."""
    if not content.startswith(SIGNATURE):
        raise ValueError("no PNG file")
    chunks: list[Chunk] = []
    position = len(SIGNATURE)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        start = position + 8
        chunks.append(
            (content[position + 4 : start], content[start : start + length])
        )
        position = start + length + 4
    return chunks


def write_chunks(chunks: list[Chunk]) -> bytes:
    """Return a PNG file of chunks, with their checksums."""
    parts = [SIGNATURE]
    for kind, data in chunks:
        parts += [struct.pack(">I", len(data)), kind, data]
        parts.append(struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


def change_chunk(content: bytes, random: Random) -> bytes:
    """Change some bytes of a chunk."""
    chunks = read_chunks(content)
    number = random.randrange(len(chunks))
    kind, data = chunks[number]
    chunks[number] = (kind, random.choice(PLAIN).mutate(data, random))
    return write_chunks(chunks)


def change_header(content: bytes, random: Random) -> bytes:
    """Change width, height, bit depth, kind of colour, or another field of the header."""
    chunks = read_chunks(content)
    fields = list(struct.unpack(">IIBBBBB", chunks[0][1][:13].ljust(13, b"\0")))
    number = random.randrange(7)
    choices = SIDES if number < 2 else (0, 1, 2, 3, 4, 6, 8, 16, 255)
    fields[number] = random.choice(choices)
    chunks[0] = (chunks[0][0], struct.pack(">IIBBBBB", *fields))
    return write_chunks(chunks)


def move_chunk(content: bytes, random: Random) -> bytes:
    """Leave a chunk out, repeat it, or move it."""
    chunks = read_chunks(content)
    chunk = chunks.pop(random.randrange(len(chunks)))
    for _ in range(random.choice((0, 1, 2, 1000))):
        chunks.insert(random.randrange(len(chunks) + 1), chunk)
    return write_chunks(chunks)


def add_chunk(content: bytes, random: Random) -> bytes:
    """Add a chunk of a known kind, with content that is right or not."""
    chunks = read_chunks(content)
    exif = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1" + bytes(
        [0, random.randrange(10), 0, 0]
    )
    bomb = b"k\0\0" + _packed_zeros()
    kinds: tuple[Chunk, ...] = (
        (b"eXIf", exif), (b"eXIf", exif[:10]), (b"tRNS", bytes(random.randrange(8))),
        (b"PLTE", bytes(random.randrange(3 * 300))), (b"zTXt", bomb), (b"iCCP", bomb),
        (b"acTL", struct.pack(">II", 2**31 - 1, 0)), (b"iTXt", b"k\0\1\0\0\0" + bomb[3:]),
        (b"gAMA", bytes(4)), (b"pHYs", bytes(9)), (b"IEND", b""), (b"IDAT", b""),
        (b"tEXt", b"XML:com.adobe.xmp\0" + b"<" * 3000), (b"ABCD", b""), (b"\0\0\0\0", b"x"),
        (b"fdAT", bytes(4)), (b"fcTL", bytes(26)), (b"sRGB", b""), (b"cHRM", bytes(3)),
    )  # fmt: skip
    chunks.insert(random.randrange(len(chunks) + 1), random.choice(kinds))
    return write_chunks(chunks)


@lru_cache(1)
def _packed_zeros() -> bytes:
    return zlib.compress(bytes(64 * MEBIBYTE))


def change_pixels(content: bytes, random: Random) -> bytes:
    """Change bytes of the unpacked pixels, or their number."""
    chunks = read_chunks(content)
    packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
    pixels = random.choice(PLAIN).mutate(zlib.decompress(packed), random)
    others = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    others.insert(-1, (b"IDAT", zlib.compress(pixels)))
    return write_chunks(others)


PNG = repaired(
    {
        change_chunk: 5,
        change_header: 5,
        move_chunk: 2,
        add_chunk: 3,
        change_pixels: 4,
    }
)
