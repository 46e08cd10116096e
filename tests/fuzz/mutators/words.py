"""Changes of texts of a command line, one text on a line."""

from __future__ import annotations

from random import Random

from fuzz.cases import repaired

PIECES = (
    "?", "=", "&", ":", "/", "//", "..", "../..", "*", "[", "]", "[!", "#", "#0", "#-1",
    "#99999999999",
    ",", ",,", ";", "%", "%00", "%ff", "%zz", "%2e%2e", " ", "\t", "\x1b[2J", "\x7f", "ü", "\u202e",
    "\udcff", "0", "-1", "1e999", "nan", "inf", "-inf", "9" * 30, "9" * 5000, "1e-400", "0x10",
    "1_0",
    "²", "١٢", "½", "1.5", "x", "X", "224x", "x224", "1x1x1", "0x0", "99999x99999", "True", "None",
    "all", "paper", "--", "-", "--help", "~", "~root", "$HOME", "$(id)", "`id`", "\\", "'", '"',
    "KiB", "GB", "1GiB", "e5", "1e5GiB", "a" * 300, "a" * 5000, "a/" * 300, "a." * 2000,
    "__class__",
    ".npy", ".onnx", "os:system", "builtins:eval", "nothing:here", "masks:", "broden:", "shapes?",
    "torchvision:", "timm:", "images=0", "size=99999999", "cuda:99", "meta", "1/0", "2/1", "0/2",
)  # fmt: skip


def put_in_piece(content: bytes, random: Random) -> bytes:
    """Put a special piece somewhere into a text."""
    lines = _lines(content)
    number = random.randrange(len(lines))
    position = random.randrange(len(lines[number]) + 1)
    piece = random.choice(PIECES)
    lines[number] = lines[number][:position] + piece + lines[number][position:]
    return _bytes(lines)


def set_text(content: bytes, random: Random) -> bytes:
    """Put a special piece, or two, in the place of a text."""
    lines = _lines(content)
    text = random.choice(PIECES) + random.choice(("", "", random.choice(PIECES)))
    lines[random.randrange(len(lines))] = text
    return _bytes(lines)


def set_value(content: bytes, random: Random) -> bytes:
    """Put a special piece behind the last sign of a text that separates."""
    lines = _lines(content)
    number = random.randrange(len(lines))
    for sign in random.sample("=:?,/x", 6):
        head, found, _ = lines[number].rpartition(sign)
        if found:
            lines[number] = head + sign + random.choice(PIECES)
            break
    return _bytes(lines)


def exchange_texts(content: bytes, random: Random) -> bytes:
    """Put one text in the place of another."""
    lines = _lines(content)
    lines[random.randrange(len(lines))] = random.choice(lines)
    return _bytes(lines)


def drop_text(content: bytes, random: Random) -> bytes:
    """Leave a text out."""
    lines = _lines(content)
    del lines[random.randrange(len(lines))]
    return _bytes(lines or [""])


def repeat_text(content: bytes, random: Random) -> bytes:
    """Repeat a text, perhaps often."""
    lines = _lines(content)
    number = random.randrange(len(lines))
    lines[number:number] = [lines[number]] * random.choice((1, 1, 200))
    return _bytes(lines)


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", errors="surrogateescape").split("\n")


def _bytes(lines: list[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", errors="surrogateescape")


WORDS = repaired(
    {
        put_in_piece: 4,
        set_text: 3,
        set_value: 4,
        exchange_texts: 2,
        drop_text: 1,
        repeat_text: 1,
    }
)
