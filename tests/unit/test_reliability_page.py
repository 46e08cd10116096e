"""Promises of docs/reliability.md: each names a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
NAME = re.compile(r"`(tests/[\w/]+\.py)?((?:::\w+)*)(?:\[[^`]*)?`")


def named_tests() -> list[tuple[str, str]]:
    """Return the files and names of all tests; a name alone is of the file before it."""
    tests = []
    path = ""
    for line in PAGE.read_text().splitlines():
        for file, name in NAME.findall(line):
            path = file or path
            if file or name:
                tests.append((path, name.removeprefix("::")))
    return tests


def names_in(path: Path) -> set[str]:
    """Return the names of functions, classes and methods, as pytest writes them."""
    names = {""}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
            names |= {
                f"{node.name}::{part.name}"
                for part in node.body
                if isinstance(part, ast.FunctionDef)
            }
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
    return names


def test_each_promise_names_a_test_that_exists() -> None:
    tests = named_tests()
    assert len(tests) > 100
    missing = [
        f"{path}::{name}"
        for path, name in tests
        if not (ROOT / path).is_file() or name not in names_in(ROOT / path)
    ]
    assert missing == []


def test_each_row_has_a_fault_a_promise_an_answer_and_a_test() -> None:
    rows = re.findall(r"^\|.*`tests/.*\|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) > 100
    for row in rows:
        cells = re.split(r"(?<!\\)\|", row)
        assert len(cells) == 6, row
