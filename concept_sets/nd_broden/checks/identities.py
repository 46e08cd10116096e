"""Identities of Broden's tables: what holds exactly among label.csv, category.csv and c_*.csv.

All of them hold on Broden's own tables (version 1_224, generated 2017-04-24), and in any set whose
tables were counted together (paper section 2.1: labels are numbered by frequency, then coverage).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from nd_broden.checks import code_identities
from nd_broden.checks.code_identities import compare_order
from nd_broden.checks.comparisons import Comparison, shown
from nd_broden.checks.table_values import LabelLine, TableValues
from nd_plugin import TableRule
from nd_plugin.reading import place_of

RELATIVE_ERROR = 1e-11  # of coverages in c_*.csv, which have 12 significant digits


def table_identities(tables: TableValues) -> Iterator[TableRule]:
    """Yield what each identity of the tables says of them."""
    for compare, rule, statement in IDENTITIES:
        comparison = Comparison(tables.root, rule, statement)
        compare(tables, comparison)
        yield comparison.result("the tables lack the columns")


def _label_numbering(tables: TableValues, comparison: Comparison) -> None:
    lines = tables.labels
    if lines:
        first = lines[0]
        comparison.expect(
            first.number == 1,
            first.position,
            f"the first label has the number {shown(first.number)}, not 1",
        )
    for earlier, line in pairwise(lines):
        if earlier.number is not None and line.number is not None:
            comparison.expect(
                line.number == earlier.number + 1,
                line.position,
                f"the number {line.number} follows {earlier.number}; "
                f"{earlier.number + 1} is expected",
            )


def _label_order(tables: TableValues, comparison: Comparison) -> None:
    compare_order(tables.labels, comparison)


def _label_frequency(tables: TableValues, comparison: Comparison) -> None:
    for line in tables.labels:
        counts = line.counts()
        if line.frequency is not None and counts:
            total = sum(counts)
            comparison.expect(
                line.frequency == total,
                line.position,
                f"{line.name!r} has the frequency {line.frequency}, and {total:g} in its "
                "categories together",
            )


def _label_categories(tables: TableValues, comparison: Comparison) -> None:
    """Expect the categories of a label from the one with the most images on."""
    for line in tables.labels:
        counts = line.counts()
        if counts:
            comparison.expect(
                counts == sorted(counts, reverse=True),
                line.position,
                f"the categories of {line.name!r} are not in the order of their images",
            )


def _label_names(tables: TableValues, comparison: Comparison) -> None:
    positions: dict[str, str] = {}
    for line in tables.labels:
        first = positions.setdefault(line.name, line.position)
        comparison.expect(
            first == line.position,
            line.position,
            f"the name {line.name!r} is that of {place_of(first, tables.root)}, too",
        )


def _label_coverage(tables: TableValues, comparison: Comparison) -> None:
    """Expect a label's coverage to be the sum of those in its categories, but for rounding."""
    sums: dict[int, float] = {}
    for lines in tables.codes.values():
        for line in lines:
            if line.number is not None and line.coverage is not None:
                sums[line.number] = sums.get(line.number, 0.0) + line.coverage
    texts = [line.coverage_text for line in tables.labels]
    last_digit = 10.0 ** -max(map(_decimals, texts), default=0)
    for line in tables.labels:
        total = sums.get(-1 if line.number is None else line.number)
        if total is None or line.coverage is None:
            continue
        tolerance = last_digit / 2 + RELATIVE_ERROR * total
        comparison.expect(
            abs(line.coverage - total) <= tolerance,
            line.position,
            f"{line.name!r} has the coverage {line.coverage_text}, and {total:.6f} in the "
            "c_*.csv together",
        )


def _decimals(text: str) -> int:
    return len(text.partition(".")[2]) if "e" not in text.lower() else 0


def _coverage_bound(tables: TableValues, comparison: Comparison) -> None:
    """Expect no label to cover more than the images that have it."""
    for lines in (tables.labels, *tables.codes.values()):
        for line in lines:
            if line.coverage is not None and line.frequency is not None:
                comparison.expect(
                    0 <= line.coverage <= line.frequency * (1 + RELATIVE_ERROR),
                    line.position,
                    f"{line.name!r} covers {line.coverage_text} images' worth of pixels in "
                    f"{line.frequency} images",
                )


def _category_figures(
    figure: str, of_lines: Callable[[Sequence[LabelLine]], int]
) -> Callable[[TableValues, Comparison], None]:
    """Return the comparison of a figure of category.csv with that of c_CATEGORY.csv."""

    def compare(tables: TableValues, comparison: Comparison) -> None:
        for category in tables.categories:
            lines = tables.codes.get(category.name, ())
            listed = getattr(category, figure)
            if listed is not None and lines:
                counted = of_lines(lines)
                comparison.expect(
                    listed == counted,
                    category.position,
                    f"the {figure} of {category.name!r} is {listed}, and {counted} in "
                    f"c_{category.name}.csv",
                )

    return compare


def _numbers(lines: Iterable[LabelLine]) -> list[int]:
    return [line.number for line in lines if line.number is not None]


def _category_order(tables: TableValues, comparison: Comparison) -> None:
    for earlier, line in pairwise(tables.categories):
        if earlier.first is not None and line.first is not None:
            comparison.expect(
                earlier.first <= line.first,
                line.position,
                f"{line.name!r} with the first number {line.first} stands behind "
                f"{earlier.name!r} with {earlier.first}",
            )


IDENTITIES: tuple[
    tuple[Callable[[TableValues, Comparison], None], str, str], ...
] = (
    (
        _label_numbering,
        "label-numbering",
        "label.csv: numbers 1 to n without a gap",
    ),
    (_label_order, "label-order", "label.csv: by frequency, then coverage"),
    (_label_names, "label-names", "label.csv: each name once"),
    (
        _label_frequency,
        "label-frequency",
        "label.csv: frequency is the sum over categories",
    ),
    (
        _label_categories,
        "label-categories",
        "label.csv: a label's categories by their images",
    ),
    (
        _label_coverage,
        "label-coverage",
        "label.csv: coverage is the sum of the c_*.csv, but for rounding",
    ),
    (
        code_identities.compare_code_frequency,
        "code-frequency",
        "c_*.csv: labels and frequencies are those of label.csv",
    ),
    (
        code_identities.compare_code_names,
        "code-names",
        "c_*.csv: names are those of label.csv",
    ),
    (
        code_identities.compare_code_labels,
        "code-labels",
        "c_*.csv: each label once",
    ),
    (
        code_identities.compare_code_numbering,
        "code-numbering",
        "c_*.csv: codes 1 to n without a gap",
    ),
    (
        code_identities.compare_code_order,
        "code-order",
        "c_*.csv: by frequency, then coverage",
    ),
    (
        _coverage_bound,
        "coverage-bound",
        "label.csv, c_*.csv: coverage is at most the frequency",
    ),
    (
        code_identities.compare_whole_coverage,
        "whole-coverage",
        "c_*.csv of whole-image labels: coverage is the frequency",
    ),
    (
        _category_figures("first", lambda lines: min(_numbers(lines), default=0)),
        "category-first",
        "category.csv: first is the lowest number in c_*.csv",
    ),
    (
        _category_figures("last", lambda lines: max(_numbers(lines), default=0)),
        "category-last",
        "category.csv: last is the highest number in c_*.csv",
    ),
    (
        _category_figures("count", len),
        "category-count",
        "category.csv: count is the number of labels in c_*.csv",
    ),
    (
        _category_figures(
            "frequency", lambda lines: sum(line.frequency or 0 for line in lines)
        ),
        "category-frequency",
        "category.csv: frequency is the sum of c_*.csv",
    ),
    (_category_order, "category-order", "category.csv: by first number"),
)
