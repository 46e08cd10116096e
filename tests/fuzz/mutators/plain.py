"""Changes of bytes of any file, without regard to its format."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from fuzz.cases import Mutation

LONGEST = 64  # bytes that are cut, repeated or put in
EXTREMES = (
    0, 1, -1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1,
    2**40, 2**62, 2**63 - 1, -(2**31), -(2**63),
)  # fmt: skip
WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
PIECES = (
    b"\0", b"\xff", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\x1b[2J", b'"', b",",
    b"\xed\xa0\x80", b"../", b"nan", b"-1", b"1e999",
)  # fmt: skip


def flip_bit(content: bytes, random: Random) -> bytes:
    """Flip one bit."""
    return _set(content, random, lambda byte: byte ^ 1 << random.randrange(8))


def set_byte(content: bytes, random: Random) -> bytes:
    """Set one byte to any value."""
    return _set(content, random, lambda byte: random.randrange(256))


def _set(content: bytes, random: Random, change: Callable[[int], int]) -> bytes:
    if not content:
        return bytes([random.randrange(256)])
    changed = bytearray(content)
    position = random.randrange(len(changed))
    changed[position] = change(changed[position])
    return bytes(changed)


def set_several_bytes(content: bytes, random: Random) -> bytes:
    """Set a few bytes to any value."""
    for _ in range(random.randrange(2, 20)):
        content = set_byte(content, random)
    return content


def cut_end(content: bytes, random: Random) -> bytes:
    """Cut off the end, anywhere."""
    return content[: random.randrange(len(content) + 1)]


def cut_slice(content: bytes, random: Random) -> bytes:
    """Cut some bytes out."""
    start = random.randrange(len(content) + 1)
    return content[:start] + content[start + random.randrange(1, LONGEST) :]


def repeat_slice(content: bytes, random: Random) -> bytes:
    """Repeat some bytes."""
    start = random.randrange(len(content) + 1)
    piece = content[start : start + random.randrange(1, LONGEST)]
    return content[:start] + piece * random.choice((2, 3, 50)) + content[start:]


def move_slice(content: bytes, random: Random) -> bytes:
    """Write some bytes over others."""
    start = random.randrange(len(content) + 1)
    piece = content[start : start + random.randrange(1, LONGEST)]
    target = random.randrange(len(content) + 1)
    return content[:target] + piece + content[target + len(piece) :]


def insert_piece(content: bytes, random: Random) -> bytes:
    """Put a piece in that is special to some format."""
    start = random.randrange(len(content) + 1)
    return content[:start] + random.choice(PIECES) + content[start:]


def set_integer(content: bytes, random: Random) -> bytes:
    """Write an extreme integer of 1 to 8 bytes over the content."""
    width = random.choice(list(WIDTHS))
    value = random.choice(EXTREMES) & (1 << 8 * width) - 1
    piece = struct.pack(random.choice("<>") + WIDTHS[width], value)
    start = random.randrange(max(len(content) - width, 0) + 1)
    return content[:start] + piece + content[start + width :]


PLAIN = (
    Mutation(flip_bit, weight=4),
    Mutation(set_byte, weight=3),
    Mutation(set_several_bytes),
    Mutation(cut_end),
    Mutation(cut_slice),
    Mutation(repeat_slice),
    Mutation(move_slice),
    Mutation(insert_piece),
    Mutation(set_integer, weight=2),
)
