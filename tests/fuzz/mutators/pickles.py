"""Changes of pickles: operations and their arguments."""

from __future__ import annotations

import pickletools
import struct
from random import Random

from fuzz.cases import Mutation
from fuzz.mutators.plain import PLAIN

OPERATIONS = tuple(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)
GLOBALS = (
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n", b"ccollections\nOrderedDict\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch\nQInt8Storage\n", b"cbuiltins\nset\n", b"ctorch\ndevice\n", b"c\n\n",
    b"c__main__\nNet\n", b"ctorch._tensor\n_rebuild_from_type_v2\n", b"ctorch\nfloat8_e5m2\n",
    b"ctorch._utils\n_rebuild_sparse_tensor\n", b"ctorch._utils\n_rebuild_qtensor\n",
)  # fmt: skip
VALUES = (
    b"K\0", b"K\xff", b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f", b"\x8a\x0a" + b"\x7f" * 10,
    b"N", b"\x88", b"]", b"}", b")", b"(", b"X\1\0\0\0a", b"X\0\0\0\0", b"G\x7f\xf8\0\0\0\0\0\0",
    b"L" + b"9" * 5000 + b"L\n", b"I1\n", b"0", b"2", b"h\0", b"j\xff\xff\xff\x7f", b"\x85", b"R",
    b"Q", b"b", b"\x81", b"u", b"s", b"e", b"\x94", b".", b"\x93", b"B\xff\xff\xff\x7f",
)  # fmt: skip
MEMO_BOMB = b"(K\0q\0h\0h\0h\0h\0h\0h\0h\0h\0h\0t" + b"q\0(" + b"h\0" * 10 + b"t"


def _split(content: bytes) -> list[bytes]:
    """Return the operations of a pickle, each with its argument, and what follows its end."""
    places = [position or 0 for _, _, position in pickletools.genops(content)]
    ends = [*places[1:], places[-1] + 1]
    pieces = [content[start:end] for start, end in zip(places, ends, strict=True)]
    return [*pieces, content[places[-1] + 1 :]]


def change_operation(content: bytes, random: Random) -> bytes:
    """Put another operation in the place of one."""
    pieces = _split(content)
    number = random.randrange(len(pieces) - 1)
    choices = (
        random.choice(OPERATIONS),
        random.choice(VALUES),
        random.choice(GLOBALS),
    )
    pieces[number] = random.choice(choices)
    return b"".join(pieces)


def add_operation(content: bytes, random: Random) -> bytes:
    """Put an operation in, perhaps many times."""
    pieces = _split(content)
    number = random.randrange(len(pieces) - 1)
    choices = (
        random.choice(VALUES),
        random.choice(GLOBALS),
        MEMO_BOMB,
        pieces[number],
    )
    pieces.insert(
        number, random.choice(choices) * random.choice((1, 1, 1, 30, 3000))
    )
    return b"".join(pieces)


def drop_operation(content: bytes, random: Random) -> bytes:
    """Leave an operation out."""
    pieces = _split(content)
    del pieces[random.randrange(len(pieces) - 1)]
    return b"".join(pieces)


def exchange_operations(content: bytes, random: Random) -> bytes:
    """Exchange two operations."""
    pieces = _split(content)
    first, second = (
        random.randrange(len(pieces) - 1),
        random.randrange(len(pieces) - 1),
    )
    pieces[first], pieces[second] = pieces[second], pieces[first]
    return b"".join(pieces)


def change_argument(content: bytes, random: Random) -> bytes:
    """Change the bytes of an argument; the length of a text is made to fit."""
    pieces = _split(content)
    candidates = [
        number for number, piece in enumerate(pieces[:-1]) if len(piece) > 1
    ]
    number = random.choice(candidates)
    piece = pieces[number]
    if piece[:1] == b"X":
        text = random.choice(PLAIN).mutate(piece[5:], random)
        pieces[number] = b"X" + struct.pack("<I", len(text)) + text
    else:
        pieces[number] = piece[:1] + random.choice(PLAIN).mutate(piece[1:], random)
    return b"".join(pieces)


def exchange_arguments(content: bytes, random: Random) -> bytes:
    """Put an operation of the same kind, with its argument, in the place of one."""
    pieces = _split(content)
    target = random.randrange(len(pieces) - 1)
    same = [piece for piece in pieces[:-1] if piece[:1] == pieces[target][:1]]
    pieces[target] = random.choice(same)
    return b"".join(pieces)


PICKLES = tuple(
    Mutation(mutate, repairs=True)
    for mutate in (
        change_operation,
        add_operation,
        drop_operation,
        exchange_operations,
        change_argument,
        exchange_arguments,
    )
)
