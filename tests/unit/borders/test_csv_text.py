"""CSV that is read back as it was written, and CSV without formulas."""

from __future__ import annotations

import csv
import io
import random

import pytest
from hostile_names import NAMES

from nd_plugin.borders.csv_text import csv_table, csv_text, without_formulas


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    "name", [*NAMES, "\r", "\r\n", "\n", '"', "", "a\rb", ' "x']
)
def test_any_name_is_read_back(name: str) -> None:
    table = [[name, "x"], ["y", name], [name, name]]
    assert rows_of(csv_text(["a", name], table)) == [["a", name], *table]


def test_random_cells_are_read_back() -> None:
    letters = random.Random(0)
    cells = [
        "".join(letters.choices('ab,;"\r\n\t\0 =', k=letters.randrange(8)))
        for _ in range(3000)
    ]
    table = [cells[index : index + 3] for index in range(0, 3000, 3)]
    assert rows_of(csv_text(["x", "y", "z"], table)) == [["x", "y", "z"], *table]


def test_lines_end_in_a_line_feed_and_missing_cells_are_empty() -> None:
    rows = [{"a": 1, "b": None}, {"b": 0.5}]
    assert csv_table(["a", "b"], rows) == "a,b\n1,\n,0.5\n"


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("＝1", "'＝1"),
        ("-0.5", "-0.5"),
        ("-1e-05", "-1e-05"),
        ("+3", "+3"),
        ("-inf", "-inf"),
        ("dog", "dog"),
        ("a=b", "a=b"),
        ("", ""),
        ("'=1", "'=1"),
    ],
)
def test_a_formula_becomes_a_text(cell: str, safe: str) -> None:
    text = csv_text([cell, "b"], [[cell, "x"], ["y", cell]])
    assert rows_of(without_formulas(text)) == [
        [safe, "b"],
        [safe, "x"],
        ["y", safe],
    ]
