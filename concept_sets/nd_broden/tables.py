"""Broden's tables: index.csv, label.csv, category.csv and c_*.csv."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin import Concept, ConceptSetInvalid, TableLine
from nd_plugin import read_table as read_any_table

COUNT = re.compile(r"\s*(?P<category>[^()]+?)\s*(\((?P<count>\d+(\.\d+)?)\))?\s*")
NUMBER = re.compile(r"\d{1,9}")
LARGEST = 65535  # red + 256 * green


@dataclass(frozen=True)
class Row:
    """One line of index.csv."""

    image: str  # path below images/
    size: tuple[int, int] | None  # of the masks: sh, sw
    image_size: tuple[int, int] | None  # ih, iw
    planes: tuple[str, ...]  # paths below images/
    numbers: tuple[int, ...]  # labels of the whole image


@dataclass(frozen=True)
class Vocabulary:
    """The concepts in the order of their label numbers, and the numbers themselves."""

    concepts: tuple[Concept, ...]
    numbers: tuple[int, ...]
    categories: tuple[str, ...]  # those that are some concept's primary category, in category.csv's order


def read_table(path: Path, columns: Sequence[str]) -> list[TableLine]:
    """The lines of one of Broden's tables."""
    return read_any_table(path, columns, "it is not in Broden's layout")


def read_index(path: Path, categories: Sequence[str]) -> list[Row]:
    """index.csv: a column per category, in it mask files and label numbers, several separated by ``;``."""
    rows = [_row(line, categories, where) for where, line in read_table(path, ["image", *categories])]
    if not rows:
        raise ConceptSetInvalid(f"{path} lists no image")
    return rows


def _row(line: Mapping[str, str], categories: Sequence[str], where: str) -> Row:
    if not line["image"]:
        raise ConceptSetInvalid(f"{where}: the column 'image' is empty")
    cells = [part.strip() for category in categories for part in line[category].split(";") if part.strip()]
    numbers = tuple(int(cell) for cell in cells if NUMBER.fullmatch(cell))
    planes = tuple(cell for cell in cells if not NUMBER.fullmatch(cell))
    return Row(line["image"], _size(line, "sh", "sw", where), _size(line, "ih", "iw", where), planes, numbers)


def _size(line: Mapping[str, str], high: str, wide: str, where: str) -> tuple[int, int] | None:
    height, width = line.get(high, ""), line.get(wide, "")
    if not height or not width:
        return None
    if not all(NUMBER.fullmatch(side) and int(side) > 0 for side in (height, width)):
        raise ConceptSetInvalid(f"{where}: the size {high}, {wide} is {height!r}, {width!r}, not two numbers of pixels")
    return int(height), int(width)


def read_categories(root: Path) -> list[str]:
    """category.csv's categories, in its order."""
    names = [line["name"] for _, line in read_table(root / "category.csv", ["name"])]
    if not names or not all(names) or len(set(names)) < len(names):
        listed = f"lists {', '.join(map(repr, names))}" if names else "is empty"
        raise ConceptSetInvalid(f"{root / 'category.csv'} {listed}: one category a line, each once, with a name")
    return names


def read_vocabulary(root: Path) -> Vocabulary:
    """label.csv, each label in its primary category: the one it covers most of, ties to the later one."""
    path, labels = root / "label.csv", dict[int, Concept]()
    categories = read_categories(root)
    coverage = {category: _coverage(root / f"c_{category}.csv") for category in categories}
    used = set[str]()
    for where, line in read_table(path, ["number", "name", "category"]):
        number = _number(line["number"], where)
        if number in labels:
            raise ConceptSetInvalid(f"{where}: the number {number} stands there twice")
        if number == 0:
            continue
        covered = _covered(number, line, coverage, where)
        used |= covered.keys()
        primary = max(covered, key=lambda category: (covered[category], categories.index(category)))
        synonyms = tuple(part.strip() for part in line.get("syns", "").split(";") if part.strip())
        labels[number] = Concept(line["name"], primary, synonyms)
    _check(labels, [category for category in categories if category not in used], path)
    numbers = tuple(sorted(labels))
    primaries = {concept.category for concept in labels.values()}
    return Vocabulary(tuple(labels[n] for n in numbers), numbers, tuple(c for c in categories if c in primaries))


def _check(labels: Mapping[int, Concept], empty: Sequence[str], path: Path) -> None:
    if empty:
        raise ConceptSetInvalid(f"the category {empty[0]!r} has no concept in {path}: leave it out of category.csv")
    numbers: dict[tuple[str, str], int] = {}
    for number, concept in labels.items():
        first = numbers.setdefault((concept.name, concept.category), number)
        if first != number:
            raise ConceptSetInvalid(
                f"{path}: {concept.name!r} of {concept.category!r} is both {first} and {number}; rename one, or give "
                "both the same number in the masks"
            )


def _coverage(path: Path) -> dict[int, float]:
    """How many images' worth of pixels each label number covers; without those of which the file does not say it."""
    lines = read_table(path, ["number", "coverage"])
    return {
        _number(line["number"], where): _amount(line["coverage"], where) for where, line in lines if line["coverage"]
    }


def _covered(
    number: int, line: Mapping[str, str], coverage: Mapping[str, Mapping[int, float]], where: str
) -> dict[str, float]:
    """What a label covers in each of its categories; where that is unknown, the number of images stands in for it."""
    listed = [COUNT.fullmatch(part) for part in line["category"].split(";")]
    images = {found["category"]: float(found["count"] or 0) for found in listed if found}
    known = {category: covered.get(number, images.get(category)) for category, covered in coverage.items()}
    covered = {category: amount for category, amount in known.items() if amount is not None}
    if not covered:
        raise ConceptSetInvalid(
            f"{where}: label {number} ({line['name']}) is of {line['category']!r}, which category.csv does not list"
        )
    return covered


def _number(text: str, where: str) -> int:
    if not NUMBER.fullmatch(text) or int(text) > LARGEST:
        raise ConceptSetInvalid(f"{where}: {text!r} is no label number (0 to {LARGEST})")
    return int(text)


def _amount(text: str, where: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise ConceptSetInvalid(f"{where}: the coverage {text!r} is no number of images")
    return amount
