"""Changes of JSON documents: values, keys, depth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz.cases import repaired

DEEP = 100_000  # brackets


class _Raw(float):
    """Number that JSON writes as it is, such as one without end."""

    text = ""

    def __repr__(self) -> str:
        return self.text


def _raw(text: str) -> _Raw:
    number = _Raw(0)
    number.text = text
    return number


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 7, 2**31, 2**63, -(2**63), 2**64, 1.5, -0.0, 1e308, 1e-320,
    "", " ", "a", "0", "-1", "nan", "1e999", "../../x", "/etc/passwd", "\x00", "\x1b[2J", "\ud800",
    "ü" * 50, "x" * 5000, "=1+1", "<script>", [], {}, [[]], [{}], {"": None}, [None] * 3, [1, 2],
    float("nan"), float("inf"), float("-inf"), _raw("1e999"), _raw("-1e999"), _raw("9" * 5000),
    _raw("9" * 400), [float("nan"), 1], "float32", "int64", "1970-01-01",
)  # fmt: skip
Place = tuple[Any, Any]  # container, key or index


def change_value(content: bytes, random: Random) -> bytes:
    """Put a special value in the place of one."""
    document = json.loads(content)
    places = list(_places(document))
    if not places:
        return _bytes(random.choice(VALUES))
    container, key = random.choice(places)
    container[key] = random.choice(VALUES)
    return _bytes(document)


def change_number(content: bytes, random: Random) -> bytes:
    """Change a number a little, or very much."""
    document = json.loads(content)
    numbers = [
        (container, key)
        for container, key in _places(document)
        if isinstance(container[key], int | float)
    ]
    if not numbers:
        return change_value(content, random)
    container, key = random.choice(numbers)
    value = container[key]
    choices = (value + 1, value - 1, -value, value * 2, value * 1000000, value / 2)
    container[key] = random.choice((*choices, str(value), [value], float(value)))
    return _bytes(document)


def exchange_values(content: bytes, random: Random) -> bytes:
    """Put a value of the document in the place of another."""
    document = json.loads(content)
    places = list(_places(document))
    if len(places) < 2:
        return change_value(content, random)
    (container, key), (source, source_key) = random.sample(places, 2)
    # a copy: a value within itself has no end
    container[key] = json.loads(json.dumps(source[source_key]))
    return _bytes(document)


def drop_entry(content: bytes, random: Random) -> bytes:
    """Leave an entry out."""
    document = json.loads(content)
    places = list(_places(document))
    if not places:
        return b"{}"
    container, key = random.choice(places)
    del container[key]
    return _bytes(document)


def add_entry(content: bytes, random: Random) -> bytes:
    """Add an entry, or repeat one."""
    document = json.loads(content)
    containers = [
        container[key]
        for container, key in _places(document)
        if isinstance(container[key], dict | list)
    ]
    target = random.choice([document, *containers])
    if isinstance(target, dict):
        target[random.choice(("", "x", "format", "__class__"))] = random.choice(
            VALUES
        )
    elif isinstance(target, list):
        item = random.choice((target or [None]) + [random.choice(VALUES)])
        target.extend([item] * random.choice((1, 1, 1000)))
    return _bytes(document)


def nest_deeply(content: bytes, random: Random) -> bytes:
    """Nest a value deeper than a parser may recurse."""
    document = json.loads(content)
    places = list(_places(document))
    if not places:
        return b"[" * DEEP
    container, key = random.choice(places)
    container[key] = "@deep@"
    depth = random.choice((100, 2000, DEEP))
    end = b"]" * depth if random.random() < 0.7 else b""
    return _bytes(document).replace(b'"@deep@"', b"[" * depth + end)


def repeat_key(content: bytes, random: Random) -> bytes:
    """Write a key twice: the last one counts."""
    text = content.decode("utf-8", errors="replace")
    key = random.choice(text.split('"')[1::2] or [""])
    value = _bytes(random.choice(VALUES)).decode("latin-1")
    return text.replace("{", "{" + f'"{key}": {value}, ', 1).encode()


def _places(value: Any) -> Iterator[Place]:
    """Yield each place of a value inside a document."""
    entries: Any = ()
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    for key, child in entries:
        yield value, key
        yield from _places(child)


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8", errors="surrogatepass")


JSON = repaired(
    {
        change_value: 6,
        change_number: 3,
        exchange_values: 2,
        drop_entry: 2,
        add_entry: 1,
        nest_deeply: 1,
        repeat_key: 1,
    }
)
