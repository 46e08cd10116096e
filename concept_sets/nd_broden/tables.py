"""Tables of Broden's layout: their lines, and the numbers and categories in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nd_plugin import ConceptSetInvalid, TableLine
from nd_plugin.reading import TableReport, iterate_table

# with a point as scripts write whole numbers of a column in which others are missing
WHOLE_NUMBER = re.compile(r"([0-9]{1,9})(\.0*)?")
LARGEST_NUMBER = 65535  # red + 256 * green
HINT = "it is not in Broden's layout"


def refuse(rule: str, position: str, message: str) -> None:
    """Raise ConceptSetInvalid for a fault: the `TableReport` of a set that is opened."""
    raise ConceptSetInvalid(message)


def read_table(
    path: Path, columns: Sequence[str], report: TableReport = refuse
) -> Iterator[TableLine]:
    """Yield the lines of one of Broden's tables."""
    return iterate_table(path, columns, HINT, report)


def read_categories(root: Path, report: TableReport = refuse) -> list[str]:
    """Return the categories of category.csv in its order, each of them once."""
    path = root / "category.csv"
    lines = list(read_table(path, ["name"], report))
    names = []
    for position, line in lines:
        name = line["name"]
        names.append(name)
        # its table c_CATEGORY.csv would be in another folder
        if "/" in name or "\\" in name:
            message = (
                f"{position}: the category {name!r} is no plain name, but a path; its table "
                "is c_CATEGORY.csv beside category.csv: rename it"
            )
            report("category-name", position, message)
    if not names and path.is_file():
        message = f"{path} is empty; expected one category a line"
        report("empty-table", str(path), message)
    if not all(names) or len(set(names)) < len(names):
        listed = ", ".join(map(repr, names))
        message = (
            f"{path} lists {listed}; expected one category a line, each with a name and only "
            "once"
        )
        report("duplicate-category", str(path), message)
    return [name for name in dict.fromkeys(names) if is_plain_name(name)]


def is_plain_name(category: str) -> bool:
    """Return whether c_CATEGORY.csv is a file beside category.csv."""
    return bool(category) and "/" not in category and "\\" not in category


def whole_number(text: str) -> int | None:
    """Return the whole number that a cell holds, also as ``134.0``; None for another text."""
    match = WHOLE_NUMBER.fullmatch(text)
    return int(match[1]) if match else None


@dataclass
class WholeNumbers:
    """Whole numbers in cells; counts those that a script has rewritten as ``134.0``."""

    rewritten_count: int = 0
    example: str = ""  # the first of them: where it is, and its text
    _numbers: dict[str, int] = field(default_factory=dict)

    def read(self, text: str, position: str, column: str) -> int | None:
        """Return the number that a cell or a part of it holds; None for another text."""
        if text in self._numbers:
            return self._numbers[text]
        number = whole_number(text)
        if number is None:
            return None
        if "." not in text:
            self._numbers[text] = number
            return number
        self.rewritten_count += 1
        self.example = self.example or f"{text!r} in {position}, column {column!r}"
        return number

    def notes(self, table: str) -> list[str]:
        """Return a note on the numbers of a table that were rewritten, none if there are none."""
        if not self.rewritten_count:
            return []
        return [
            f"{self.rewritten_count} whole numbers in {table} are written with a decimal point "
            f"and were read without, for example {self.example}"
        ]


def label_number(
    text: str,
    position: str,
    numbers: WholeNumbers,
    report: TableReport = refuse,
) -> int | None:
    """Return the label number that a cell of the column ``number`` holds; None for none."""
    number = numbers.read(text, position, "number")
    if number is None or number > LARGEST_NUMBER:
        message = f"{position}: {text[:40]!r} is not a label number (0 to {LARGEST_NUMBER})"
        report("label-number", position, message)
        return None
    return number


def split_cell(cell: str) -> list[str]:
    """Return the entries of a cell that holds several, separated by ``;``."""
    return [entry.strip() for entry in cell.split(";") if entry.strip()]
