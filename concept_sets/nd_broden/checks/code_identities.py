"""Identities of the tables c_CATEGORY.csv, and the order of lines in tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nd_broden.checks.comparisons import Comparison, shown
from nd_broden.checks.table_values import LabelLine, TableValues
from nd_plugin.reading import place_of


def compare_order(lines: Sequence[LabelLine], comparison: Comparison) -> None:
    """Expect lines in the order of frequency, then of coverage, from the largest."""
    for earlier, line in pairwise(lines):
        if None in (earlier.frequency, line.frequency):
            continue
        # frequencies are numbers here; equal ones are ordered by coverage
        before = (earlier.frequency or 0, earlier.coverage or 0.0)
        behind = (line.frequency or 0, line.coverage or 0.0)
        comparison.expect(
            before >= behind,
            line.position,
            f"{line.name!r} with the frequency {line.frequency} and the coverage "
            f"{line.coverage_text} stands behind {earlier.name!r} with {earlier.frequency} and "
            f"{earlier.coverage_text}",
        )


def compare_code_order(tables: TableValues, comparison: Comparison) -> None:
    """Expect lines in the order of frequency, then of coverage."""
    for lines in tables.codes.values():
        compare_order(lines, comparison)


def compare_code_frequency(tables: TableValues, comparison: Comparison) -> None:
    """Expect the frequencies in c_CATEGORY.csv to be those that label.csv has for the category."""
    for category, lines in tables.codes.items():
        lines_by_number = {line.number: line for line in lines}
        for label in tables.labels:
            line = lines_by_number.pop(label.number, None)
            is_listed = category in label.image_counts
            if line is not None or is_listed:
                _compare_frequency(label, line, category, comparison)
        for line in lines_by_number.values():
            comparison.expect(
                False,
                line.position,
                f"the label {shown(line.number)} ({line.name}) is not in label.csv",
            )


def _compare_frequency(
    label: LabelLine,
    line: LabelLine | None,
    category: str,
    comparison: Comparison,
) -> None:
    """Compare a label of a category in both tables; either may lack the category or the count."""
    count = label.image_counts.get(category)
    if line is None:
        comparison.expect(
            False,
            label.position,
            f"{label.name!r} of category {category!r} is not in c_{category}.csv",
        )
    elif category not in label.image_counts:
        comparison.expect(
            False,
            label.position,
            f"{label.name!r} is in c_{category}.csv, but not of category {category!r} here",
        )
    elif count is not None and line.frequency is not None:
        comparison.expect(
            line.frequency == count,
            line.position,
            f"{label.name!r} has the frequency {line.frequency}, and {shown(count)} in label.csv",
        )


def compare_code_names(tables: TableValues, comparison: Comparison) -> None:
    """Expect the names of label.csv."""
    names = {line.number: line.name for line in tables.labels}
    for lines in tables.codes.values():
        for line in lines:
            name = names.get(line.number)
            if line.name and name is not None:
                comparison.expect(
                    line.name == name,
                    line.position,
                    f"the label {line.number} is {line.name!r}, and {name!r} in label.csv",
                )


def compare_code_numbering(tables: TableValues, comparison: Comparison) -> None:
    """Expect codes from 1 on, without a gap."""
    for lines in tables.codes.values():
        for code, line in enumerate(lines, start=1):
            if line.code is not None:
                comparison.expect(
                    line.code == code,
                    line.position,
                    f"{line.name!r} has the code {line.code}; {code} is expected",
                )


def compare_code_labels(tables: TableValues, comparison: Comparison) -> None:
    """Expect each label once."""
    for lines in tables.codes.values():
        positions: dict[int | None, str] = {}
        for line in lines:
            first = positions.setdefault(line.number, line.position)
            comparison.expect(
                first == line.position,
                line.position,
                f"the label {shown(line.number)} is in {place_of(first, tables.root)}, too",
            )


def compare_whole_coverage(tables: TableValues, comparison: Comparison) -> None:
    """Expect labels of whole images to cover their images: in tables where most of them do."""
    for lines in tables.codes.values():
        counted = [line for line in lines if line.coverage is not None]
        covering = [line for line in counted if line.coverage == line.frequency]
        if 2 * len(covering) <= len(counted):
            continue
        for line in counted:
            comparison.expect(
                line.coverage == line.frequency,
                line.position,
                f"{line.name!r} covers {line.coverage_text} images' worth of pixels, and "
                f"{shown(line.frequency)} images have it",
            )
