"""Tables of Broden's layout: index.csv, label.csv, category.csv, c_CATEGORY.csv and README.txt.

Formats are those of Broden 1_224, byte for byte. index.csv ends its lines in a line feed, the
other tables in a carriage return and a line feed. label.csv gives coverage with six decimals,
c_CATEGORY.csv with twelve significant digits and at least one decimal (Python 2's ``str``).
c_CATEGORY.csv is sorted by descending frequency, then coverage; Broden leaves equal ones in no
order, here the lower number is first.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nd_plugin.borders.csv_text import csv_text
from nd_plugin.concepts.broden_layout.readme import readme_text
from nd_plugin.concepts.broden_layout.samples import IndexRow
from nd_plugin.concepts.broden_layout.tally import LabelCounts
from nd_plugin.storage.durable_files import create_file, sync_folder

INDEX_COLUMNS = ("image", "split", "ih", "iw", "sh", "sw")
LABEL_COLUMNS = ("number", "name", "category", "frequency", "coverage", "syns")
CATEGORY_COLUMNS = ("name", "first", "last", "count", "frequency")
CODE_COLUMNS = ("code", "number", "name", "frequency", "coverage")
SIGNIFICANT_DIGITS = 12


@dataclass(frozen=True)
class Label:
    """Label of label.csv."""

    number: int
    name: str
    synonyms: tuple[str, ...] = ()
    # in which the label is listed where no image carries it; "": nowhere
    category: str = ""


def write_tables(
    root: Path,
    labels: Sequence[Label],
    categories: Sequence[str],
    rows: Sequence[IndexRow],
    counts: LabelCounts,
    *,
    description: Sequence[str] = (),
) -> None:
    """Write all tables, through to the disk, and index.csv last: without it there is no set.

    ``categories`` are in the order of category.csv and of index.csv's columns. ``description`` are
    lines for the head of README.txt. Tables of an earlier attempt are replaced. Raises OSError.
    """
    statistics = _statistics(labels, categories, counts)
    tables = {
        "README.txt": readme_text(categories, description),
        "category.csv": _category_table(statistics),
        "label.csv": _label_table(labels, statistics),
    }
    for category, entries in statistics.items():
        tables[f"c_{category}.csv"] = _code_table(entries)
    tables["index.csv"] = _index_table(rows, categories)
    (root / "images").mkdir(exist_ok=True)
    for name, text in tables.items():
        path = root / name
        path.unlink(missing_ok=True)
        create_file(path, text.encode())
    sync_folder(root)


@dataclass(frozen=True)
class _Entry:
    """Label in one of its categories."""

    label: Label
    frequency: int
    coverage: float


_Statistics = Mapping[str, Sequence[_Entry]]  # by category, most frequent first


def _statistics(
    labels: Sequence[Label], categories: Sequence[str], counts: LabelCounts
) -> _Statistics:
    coverages = counts.coverages()
    entries: dict[str, list[_Entry]] = {category: [] for category in categories}
    for label in labels:
        for category in categories:
            frequency = counts.frequency(label.number, category)
            if frequency or category == label.category:
                coverage = coverages.get((label.number, category), 0.0)
                entries[category].append(_Entry(label, frequency, coverage))
    for of_category in entries.values():
        of_category.sort(key=_by_frequency)
    return entries


def _by_frequency(entry: _Entry) -> tuple[int, float, int]:
    return -entry.frequency, -entry.coverage, entry.label.number


def _index_table(rows: Iterable[IndexRow], categories: Sequence[str]) -> str:
    lines = []
    for row in rows:
        cells = [";".join(row.entries.get(category, ())) for category in categories]
        sizes = (*row.image_size, *row.mask_size)
        lines.append((row.image, row.split, *sizes, *cells))
    return csv_text((*INDEX_COLUMNS, *categories), lines)


def _label_table(labels: Sequence[Label], statistics: _Statistics) -> str:
    """Return label.csv, in the order of the numbers; categories of a label by frequency."""
    by_number: dict[int, list[tuple[str, _Entry]]] = {}
    for category, entries in statistics.items():
        for entry in entries:
            by_number.setdefault(entry.label.number, []).append((category, entry))
    lines = []
    for label in sorted(labels, key=lambda label: label.number):
        entries_of_label = by_number.get(label.number, [])
        entries_of_label.sort(key=lambda pair: _by_frequency(pair[1]))
        frequency = sum(entry.frequency for _, entry in entries_of_label)
        coverage = sum(entry.coverage for _, entry in entries_of_label)
        cells = [
            f"{category}({entry.frequency})" for category, entry in entries_of_label
        ]
        synonyms = ";".join(label.synonyms)
        amounts = (frequency, f"{coverage:.6f}")
        lines.append(
            (label.number, label.name, ";".join(cells), *amounts, synonyms)
        )
    return _crlf_table(LABEL_COLUMNS, lines)


def _category_table(statistics: _Statistics) -> str:
    lines = []
    for category, entries in statistics.items():
        if not entries:
            continue
        numbers = [entry.label.number for entry in entries]
        frequency = sum(entry.frequency for entry in entries)
        extent = (min(numbers), max(numbers), len(numbers))
        lines.append((category, *extent, frequency))
    return _crlf_table(CATEGORY_COLUMNS, lines)


def _code_table(entries: Sequence[_Entry]) -> str:
    """Return c_CATEGORY.csv, whose codes count up from 1."""
    lines = []
    for code, entry in enumerate(entries, start=1):
        coverage = coverage_text(entry.coverage)
        label = entry.label
        lines.append((code, label.number, label.name, entry.frequency, coverage))
    return _crlf_table(CODE_COLUMNS, lines)


def coverage_text(coverage: float) -> str:
    """Return a coverage as Python 2's ``str`` gives it: 12 significant digits, 2241.0."""
    text = f"{coverage:.{SIGNIFICANT_DIGITS}g}"
    return text if "." in text or "e" in text else f"{text}.0"


def _crlf_table(columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return file.getvalue()
