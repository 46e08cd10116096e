"""Tables of Broden's layout: their lines, and the numbers and categories in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from nd_plugin import ConceptSetInvalid, TableLine
from nd_plugin import read_table as read_any_table

NUMBER = re.compile(r"[0-9]{1,9}")
LARGEST_NUMBER = 65535  # red + 256 * green


def read_table(path: Path, columns: Sequence[str]) -> list[TableLine]:
    """Return the lines of one of Broden's tables."""
    return read_any_table(path, columns, "it is not in Broden's layout")


def read_categories(root: Path) -> list[str]:
    """Return the categories of category.csv in its order."""
    path = root / "category.csv"
    lines = read_table(path, ["name"])
    for position, line in lines:
        _check_plain(line["name"], position)
    names = [line["name"] for _, line in lines]
    if not names:
        raise ConceptSetInvalid(f"{path} is empty; expected one category a line")
    if not all(names) or len(set(names)) < len(names):
        listed = ", ".join(map(repr, names))
        raise ConceptSetInvalid(
            f"{path} lists {listed}; expected one category a line, each with a name and only once"
        )
    return names


def _check_plain(category: str, position: str) -> None:
    """Refuse a category whose table c_CATEGORY.csv would be in another folder."""
    if "/" in category or "\\" in category:
        raise ConceptSetInvalid(
            f"{position}: the category {category!r} is no plain name, but a path; its table is "
            "c_CATEGORY.csv beside category.csv: rename it"
        )


def label_number(text: str, position: str) -> int:
    """Return the label number that a cell holds; ``position`` is its file and line."""
    if not NUMBER.fullmatch(text) or int(text) > LARGEST_NUMBER:
        raise ConceptSetInvalid(
            f"{position}: {text[:40]!r} is not a label number (0 to {LARGEST_NUMBER})"
        )
    return int(text)


def split_cell(cell: str) -> list[str]:
    """Return the entries of a cell that holds several, separated by ``;``."""
    return [entry.strip() for entry in cell.split(";") if entry.strip()]


def is_numeric(text: str) -> bool:
    """Return whether a text looks like a number of any kind: 134.0, -1, 1e5, nan."""
    try:
        float(text)
    except ValueError:
        return False
    return True
