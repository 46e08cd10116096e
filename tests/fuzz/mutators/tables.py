"""Changes of tables in CSV: cells, lines, columns."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fuzz.cases import repaired

CELLS = (
    b"", b" ", b"0", b"-0", b"-1", b"1", b"1.5", b"nan", b"inf", b"-inf", b"1e999", b"1e-999",
    b"1_000", b"0x10", b"99999999999999999999", b"9" * 5000, b"65535", b"65536", b"2147483648",
    b"4294967296", b"1e308", b"True", b"None", b"NaN", "²".encode(), "١٢".encode(), "½".encode(),
    b"../../../etc/passwd", b"/etc/passwd", b"..", b".", b"~", b"a;b", b";;;", b"a/b/c", b"con",
    b"\x00", b"\x1b[31mred", b"\xff\xfe", b"\xed\xa0\x80", b"=1+1", b'"', b'""', b'"a\nb"',
    b"a\rb",
    b"x" * 300, b"x" * 140_000, "ü\u202e\u0301".encode(), b"object", b"color(7)", b"part(1e9)",
    b"(",
    b"images", b"/dev/null", b"/dev/zero", b"a\tb", b"yes", b"no", b"2026-01-01T00:00:00",
    b"9999-12-31T23:59:59-23:59", b"0001-01-01T00:00:00+23:59", b"file:///etc/passwd",
)  # fmt: skip
SEPARATORS = (b";", b"\t", b"|", b" ")
MANY = 2000  # repetitions of a line


def set_cell(content: bytes, random: Random) -> bytes:
    """Put a special text into a cell."""
    return _change_cells(content, random, lambda _: random.choice(CELLS))


def append_to_cell(content: bytes, random: Random) -> bytes:
    """Put a special text behind or before what a cell holds."""
    piece = random.choice(CELLS)
    is_before = random.random() < 0.5
    return _change_cells(
        content, random, lambda cell: piece + cell if is_before else cell + piece
    )


def exchange_cells(content: bytes, random: Random) -> bytes:
    """Put the text of one cell into another."""
    cells = [cell for line in content.split(b"\n") for cell in line.split(b",")]
    return _change_cells(content, random, lambda _: random.choice(cells))


def _change_cells(
    content: bytes, random: Random, change: Callable[[bytes], bytes]
) -> bytes:
    lines = content.split(b"\n")
    number = random.randrange(len(lines))
    cells = lines[number].split(b",")
    column = random.randrange(len(cells))
    cells[column] = change(cells[column])
    lines[number] = b",".join(cells)
    return b"\n".join(lines)


def drop_cell(content: bytes, random: Random) -> bytes:
    """Leave a cell out, so that the line is shorter."""
    lines = content.split(b"\n")
    number = random.randrange(len(lines))
    cells = lines[number].split(b",")
    del cells[random.randrange(len(cells))]
    lines[number] = b",".join(cells)
    return b"\n".join(lines)


def add_cells(content: bytes, random: Random) -> bytes:
    """Put more cells into a line than there are columns."""
    lines = content.split(b"\n")
    number = random.randrange(len(lines))
    lines[number] += b"," * random.choice((1, 2, 500)) + random.choice(CELLS)
    return b"\n".join(lines)


def drop_line(content: bytes, random: Random) -> bytes:
    """Leave a line out; it may be the first."""
    lines = content.split(b"\n")
    del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def repeat_line(content: bytes, random: Random) -> bytes:
    """Repeat a line, perhaps very often."""
    lines = content.split(b"\n")
    number = random.randrange(len(lines))
    lines[number:number] = [lines[number]] * random.choice((1, 1, 1, MANY))
    return b"\n".join(lines)


def drop_column(content: bytes, random: Random) -> bytes:
    """Leave a column out of all lines."""
    rows = [line.split(b",") for line in content.split(b"\n")]
    column = random.randrange(len(rows[0]))
    kept = [row[:column] + row[column + 1 :] for row in rows]
    return b"\n".join(b",".join(row) for row in kept)


def change_separator(content: bytes, random: Random) -> bytes:
    """Separate columns by another character."""
    return content.replace(b",", random.choice(SEPARATORS))


def change_line_ends(content: bytes, random: Random) -> bytes:
    """End lines in another way."""
    return content.replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n", b"\0\n")))


def open_quote(content: bytes, random: Random) -> bytes:
    """Open a quote that nothing closes."""
    position = random.randrange(len(content) + 1)
    return content[:position] + b',"' + content[position:]


def encode_anew(content: bytes, random: Random) -> bytes:
    """Encode the table in another way than UTF-8."""
    text = content.decode("utf-8", errors="replace")
    encoding = random.choice(("utf-16", "utf-32", "latin-1", "utf-7", "cp037"))
    return text.encode(encoding, errors="replace")


TABLES = repaired(
    {
        set_cell: 8,
        append_to_cell: 3,
        exchange_cells: 3,
        drop_cell: 1,
        add_cells: 1,
        drop_line: 1,
        repeat_line: 1,
        drop_column: 1,
        change_separator: 1,
        change_line_ends: 1,
        open_quote: 1,
        encode_anew: 1,
    }
)
