"""Broden's tables: index.csv, label.csv, category.csv and c_*.csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin import Concept, ConceptSetInvalid

COUNT = re.compile(r"\s*(?P<category>[^()]+?)\s*(\((?P<count>[\d.]+)\))?\s*")


@dataclass(frozen=True)
class Row:
    """One line of index.csv."""

    image: str  # path below images/
    size: tuple[int, int] | None  # of the masks: sh, sw
    planes: tuple[str, ...]  # paths below images/
    numbers: tuple[int, ...]  # labels of the whole image


@dataclass(frozen=True)
class Vocabulary:
    """The concepts in the order of their label numbers, and the numbers themselves."""

    concepts: tuple[Concept, ...]
    numbers: tuple[int, ...]
    categories: tuple[str, ...]  # those that are some concept's primary category, in category.csv's order


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The lines of a CSV file that has at least these columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise ConceptSetInvalid(f"{path} has no column {', '.join(map(repr, missing))}")
            return [{key: value or "" for key, value in line.items() if key} for line in reader]
    except FileNotFoundError as error:
        raise ConceptSetInvalid(f"no {path.name} in {path.parent}: it is not in Broden's layout") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error


def read_index(path: Path, categories: Sequence[str]) -> list[Row]:
    """index.csv: a column per category, in it mask files and label numbers, several separated by ``;``."""
    lines = read_table(path, ["image", *categories])
    return [_row(line, categories, f"{path}, line {place}") for place, line in enumerate(lines, start=2)]


def _row(line: Mapping[str, str], categories: Sequence[str], where: str) -> Row:
    cells = [part.strip() for category in categories for part in line[category].split(";") if part.strip()]
    height, width = line.get("sh", ""), line.get("sw", "")
    try:
        size = (int(height), int(width)) if height and width else None
    except ValueError as error:
        raise ConceptSetInvalid(f"{where}: mask size {height!r} x {width!r} is no number of pixels") from error
    return Row(
        image=line["image"],
        size=size,
        planes=tuple(cell for cell in cells if not cell.isdecimal()),
        numbers=tuple(int(cell) for cell in cells if cell.isdecimal()),
    )


def read_categories(root: Path) -> list[str]:
    """category.csv's categories, in its order."""
    return [line["name"] for line in read_table(root / "category.csv", ["name"])]


def read_vocabulary(root: Path) -> Vocabulary:
    """label.csv, each label in its primary category: the one it covers most of, ties to the later one."""
    categories = read_categories(root)
    coverage = {category: _coverage(root / f"c_{category}.csv") for category in categories}
    empty = [category for category in categories if not coverage[category]]
    if empty:
        raise ConceptSetInvalid(f"{root}: the category {empty[0]!r} has no concept in c_{empty[0]}.csv")
    labels: dict[int, Concept] = {}
    for line in read_table(root / "label.csv", ["number", "name", "category"]):
        number = _number(line["number"], root / "label.csv")
        if number in labels:
            raise ConceptSetInvalid(f"{root / 'label.csv'} has the number {number} twice")
        if number != 0:
            primary = _primary(number, line, categories, coverage, root / "label.csv")
            synonyms = tuple(part.strip() for part in line.get("syns", "").split(";") if part.strip())
            labels[number] = Concept(line["name"], primary, synonyms)
    numbers = tuple(sorted(labels))
    used = {concept.category for concept in labels.values()}
    return Vocabulary(
        tuple(labels[n] for n in numbers), numbers, tuple(category for category in categories if category in used)
    )


def _coverage(path: Path) -> dict[int, float]:
    return {
        _number(line["number"], path): float(line["coverage"] or 0)
        for line in read_table(path, ["number", "coverage"])
    }


def _primary(
    number: int, line: Mapping[str, str], categories: Sequence[str], coverage: Mapping[str, Mapping[int, float]], path: Path
) -> str:
    listed = [COUNT.fullmatch(part) for part in line["category"].split(";") if part.strip()]
    counts = {found["category"]: float(found["count"] or 0) for found in listed if found}
    known = {
        category: coverage[category].get(number, counts.get(category, 0.0))
        for category in categories
        if number in coverage[category] or category in counts
    }
    if not known:
        raise ConceptSetInvalid(f"{path}: label {number} ({line['name']}) is of {line['category']!r}, no known category")
    return max(known, key=lambda category: (known[category], categories.index(category)))


def _number(text: str, path: Path) -> int:
    if not text.strip().isdecimal():
        raise ConceptSetInvalid(f"{path}: {text!r} is no label number")
    return int(text)
