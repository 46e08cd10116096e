"""Vocabulary of Broden's layout: label.csv, with each label's primary category.

A label may belong to several categories. Its primary one is the category in which it covers most
pixels (paper section 2.1), as the tables c_CATEGORY.csv count them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nd_broden.tables import (
    WholeNumbers,
    label_number,
    read_categories,
    read_table,
    refuse,
    split_cell,
)
from nd_plugin import Concept
from nd_plugin.reading import TableReport

CATEGORY_COUNT = (
    re.compile(  # "color(7)": category and number of images, which may be missing
        r"\s*(?P<category>[^()]+?)\s*(\((?P<count>\d+(\.\d+)?)\))?\s*"
    )
)


@dataclass(frozen=True)
class Vocabulary:
    """Concepts in the order of their label numbers, and the numbers themselves."""

    concepts: tuple[Concept, ...]
    numbers: tuple[int, ...]
    # primary categories of the concepts, in category.csv's order
    categories: tuple[str, ...]
    notes: tuple[str, ...] = ()
    # of the lines of label.csv, by number
    positions: Mapping[int, str] = field(default_factory=dict)


def read_vocabulary(root: Path, report: TableReport = refuse) -> Vocabulary:
    """Return the labels of label.csv, each as a concept of its primary category.

    Faults go to ``report``, which raises ConceptSetInvalid where a set is opened.
    """
    path = root / "label.csv"
    categories = read_categories(root, report)
    notes: list[str] = []
    coverage = {
        category: _read_coverage(root / f"c_{category}.csv", notes, report)
        for category in categories
    }
    concepts: dict[int, Concept] = {}
    positions: dict[int, str] = {}
    used_categories: set[str] = set()
    numbers = WholeNumbers()
    for position, line in read_table(path, ["number", "name", "category"], report):
        number = label_number(line["number"], position, numbers, report)
        if number in concepts:
            message = f"{position}: the number {number} is listed twice"
            report("duplicate-number", position, message)
            continue
        if not number:  # 0 is "no label"
            continue
        amounts = _amounts(number, line, coverage)
        if not amounts and categories:
            message = _no_category(number, line, position)
            report("unlisted-category", position, message)
        used_categories |= amounts.keys()
        synonyms = tuple(split_cell(line.get("syns", "")))
        concepts[number] = Concept(
            line["name"], _primary(amounts, categories), synonyms
        )
        positions[number] = position
    _check_every_category_is_used(categories, used_categories, path, report)
    _check_names_are_unique(concepts, positions, path, report)
    notes += numbers.notes(path.name)
    return _in_order(concepts, categories, notes, positions)


def _primary(amounts: Mapping[str, float], categories: Sequence[str]) -> str:
    """Return the category with the largest amount; of equal ones the last in category.csv."""
    return max(
        amounts,
        key=lambda category: (amounts[category], categories.index(category)),
        default="",  # in no category, which is reported
    )


def _in_order(
    concepts: Mapping[int, Concept],
    categories: Sequence[str],
    notes: Sequence[str],
    positions: Mapping[int, str],
) -> Vocabulary:
    """Return the vocabulary, sorted by label number."""
    numbers = tuple(sorted(concepts))
    primaries = {concept.category for concept in concepts.values()}
    return Vocabulary(
        concepts=tuple(concepts[number] for number in numbers),
        numbers=numbers,
        categories=tuple(
            category for category in categories if category in primaries
        ),
        notes=tuple(notes),
        positions=positions,
    )


def _check_every_category_is_used(
    categories: Sequence[str],
    used_categories: Collection[str],
    path: Path,
    report: TableReport,
) -> None:
    for category in categories:
        # without any, label.csv itself is the fault
        if category not in used_categories and (used_categories or path.exists()):
            message = (
                f"the category {category!r} has no concept in {path}; delete it from "
                "category.csv"
            )
            report("category-without-concepts", str(path), message)


def _check_names_are_unique(
    concepts: Mapping[int, Concept],
    positions: Mapping[int, str],
    path: Path,
    report: TableReport,
) -> None:
    """Refuse two numbers for one name in one category."""
    numbers: dict[tuple[str, str], int] = {}
    for number, concept in concepts.items():
        earlier_number = numbers.setdefault(
            (concept.name, concept.category), number
        )
        if earlier_number != number:
            message = (
                f"{path}: {concept.name!r} of category {concept.category!r} is both "
                f"{earlier_number} and {number}; rename one of them, or use one number in the masks"
            )
            report("duplicate-name", positions[number], message)


def _read_coverage(
    path: Path, notes: list[str], report: TableReport
) -> dict[int, float]:
    """Return by label number the pixels covered, in images' worth; numbers without are left out."""
    coverage = {}
    numbers = WholeNumbers()
    for position, line in read_table(path, ["number", "coverage"], report):
        if not line["coverage"]:
            continue
        number = label_number(line["number"], position, numbers, report)
        amount = _coverage(line["coverage"], position, report)
        if number is not None and amount is not None:
            coverage[number] = amount
    notes += numbers.notes(path.name)
    return coverage


def _coverage(text: str, position: str, report: TableReport) -> float | None:
    try:
        coverage = float(text)
    except ValueError:
        coverage = math.nan
    if 0 <= coverage < math.inf:
        return coverage
    message = (
        f"{position}: the coverage {text!r} is not a number of images, 0 or more"
    )
    report("coverage-number", position, message)
    return None


def _amounts(
    number: int,
    line: Mapping[str, str],
    coverage: Mapping[str, Mapping[int, float]],
) -> dict[str, float]:
    """Return how much a label covers in each of its categories.

    The amount is the coverage in c_CATEGORY.csv or, where that is missing, the number of images
    that label.csv gives.
    """
    image_counts = _image_counts(line["category"])
    amounts = {}
    for category, coverage_of_number in coverage.items():
        amount = coverage_of_number.get(number, image_counts.get(category))
        if amount is not None:
            amounts[category] = amount
    return amounts


def _no_category(number: int, line: Mapping[str, str], position: str) -> str:
    return (
        f"{position}: label {number} ({line['name']}) is of category {line['category']!r}, "
        "which category.csv does not list"
    )


def _image_counts(cell: str) -> dict[str, float]:
    """Return the number of images by category from a cell such as ``color(7);object(2)``."""
    image_counts = {}
    for entry in cell.split(";"):
        match = CATEGORY_COUNT.fullmatch(entry)
        if match:
            image_counts[match["category"]] = float(match["count"] or 0)
    return image_counts
