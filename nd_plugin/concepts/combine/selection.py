"""Selection of a part of a concept set, and its text: ``[object,split=val,min_samples=10]``."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nd_plugin.errors import ConceptSetInvalid, nearest

KEYS = ("category", "name", "split", "min_samples")
EXAMPLE = "[object,part,name=car|road,split=val,min_samples=10]"
ITEM = re.compile(r"(?P<key>[A-Za-z_]\w*)\s*=\s*(?P<values>.*)", re.DOTALL)
# characters that have a meaning inside brackets
SPECIAL = re.compile(r"""[\[\]",|=:]|^\s|\s$|^$""")


@dataclass(frozen=True)
class Selection:
    """What is selected of a concept set; an empty tuple selects all.

    Raises ConceptSetInvalid for values of other types, and for a selection of nothing.
    """

    categories: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    min_samples: int | None = None  # images that have to show a concept

    @classmethod
    def of(
        cls,
        categories: str | Iterable[str] | None,
        names: str | Iterable[str] | None,
        splits: str | Iterable[str] | None,
        min_samples: Any,
    ) -> Selection:
        """Create a selection from the arguments of `select_concepts`; None selects all."""
        selection = cls(
            _texts("categories", categories),
            _texts("names", names),
            _texts("split", splits),
            None if min_samples is None else _sample_count(min_samples),
        )
        if selection == cls():
            raise ConceptSetInvalid(
                "nothing to select by: give categories, names, split or min_samples"
            )
        return selection

    @classmethod
    def parse(cls, content: str) -> Selection:
        """Parse what stands between the brackets. Raises ConceptSetInvalid."""
        values: dict[str, list[str]] = {key: [] for key in KEYS}
        for item in split_outside_quotes(content, ","):
            key, item_values = _parse_item(item.strip(), content)
            values[key] += item_values
        counts = values["min_samples"]
        if len(counts) > 1:
            raise ConceptSetInvalid(
                f"[{content}]: min_samples is given more than once"
            )
        return cls(
            tuple(dict.fromkeys(values["category"])),
            tuple(dict.fromkeys(values["name"])),
            tuple(dict.fromkeys(values["split"])),
            _sample_count(counts[0]) if counts else None,
        )

    @property
    def text(self) -> str:
        """Text that `parse` takes, with its brackets."""
        items = [_quoted(category) for category in self.categories]
        if self.names:
            items.append(f"name={_alternatives(self.names)}")
        if self.splits:
            items.append(f"split={_alternatives(self.splits)}")
        if self.min_samples is not None:
            items.append(f"min_samples={self.min_samples}")
        return f"[{','.join(items)}]"


def _parse_item(item: str, content: str) -> tuple[str, list[str]]:
    """Return the key and the values of an item; an item without a key is of categories."""
    match = ITEM.fullmatch(item)
    key = match["key"] if match else "category"
    values = match["values"] if match else item
    if key not in KEYS:
        similar = nearest(key, KEYS, most=1)
        hint = f"; the nearest is {similar[0]!r}" if similar else ""
        raise ConceptSetInvalid(
            f"[{content}]: {key!r} selects nothing{hint}; known are {', '.join(KEYS)}, as in "
            f"{EXAMPLE}"
        )
    alternatives = [
        _unquoted(value.strip()) for value in split_outside_quotes(values, "|")
    ]
    if "" in alternatives:
        raise ConceptSetInvalid(
            f"[{content}] has an empty {key}; expected brackets such as {EXAMPLE}"
        )
    return key, alternatives


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split a text at a character, but not inside double quotes."""
    pieces = [""]
    is_quoted = False
    for character in text:
        if character == '"':
            is_quoted = not is_quoted
        if character == separator and not is_quoted:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def closing_bracket(text: str, opening: int) -> int | None:
    """Return the position of the bracket that closes one, outside double quotes; None: none."""
    is_quoted = False
    for position in range(opening, len(text)):
        if text[position] == '"':
            is_quoted = not is_quoted
        if text[position] == "]" and not is_quoted:
            return position
    return None


def has_colon(content: str) -> bool:
    """Return whether a colon stands in brackets, outside double quotes."""
    return len(split_outside_quotes(content, ":")) > 1


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1].replace('""', '"') if is_quoted else value


def quoted(text: str) -> str:
    """Return a text in double quotes; those inside are doubled."""
    return '"' + text.replace('"', '""') + '"'


def _quoted(value: str) -> str:
    return quoted(value) if SPECIAL.search(value) else value


def _alternatives(values: Sequence[str]) -> str:
    return "|".join(map(_quoted, values))


def _texts(name: str, values: Any) -> tuple[str, ...]:
    """Return one text or several as a tuple without repetition."""
    if values is None:
        return ()
    texts = (values,) if isinstance(values, str) else tuple(values)
    for text in texts:
        if not isinstance(text, str):
            raise ConceptSetInvalid(
                f"{name} holds {text!r}, of type {type(text).__name__}; expected texts"
            )
    if not texts:
        raise ConceptSetInvalid(
            f"{name} is empty and selects nothing; None selects all"
        )
    return tuple(dict.fromkeys(texts))


def _sample_count(value: Any) -> int:
    """Return a number of images. Raises ConceptSetInvalid for what is no whole number above 0."""
    if isinstance(value, str):
        is_number = value.isascii() and value.isdecimal() and len(value) <= 9
        count = int(value) if is_number else 0
    else:
        try:
            count = operator.index(value)
        except TypeError:
            count = 0
    if count < 1 or isinstance(value, bool):
        raise ConceptSetInvalid(
            f"min_samples {value!r} is not a number of images, 1 or more"
        )
    return count
