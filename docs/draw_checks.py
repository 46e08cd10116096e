"""Tables of the conformance kits in plugins.md, from the code: ``python docs/draw_checks.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nd_plugin.testing.backends import BACKEND_RULES
from nd_plugin.testing.concept_sets import CONCEPT_SET_RULES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "plugins.md"


def main() -> None:
    """Write the tables into the page."""
    sys.path.insert(0, str(ROOT / "tests"))
    from wrong_backends import WRONG_BACKENDS
    from wrong_sets import WRONG_SETS

    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(text, WRONG_BACKENDS, WRONG_SETS), encoding="utf-8")


def with_tables(text: str, backends: Sequence[Any], sets: Sequence[Any]) -> str:
    """Return the page's text with its tables drawn anew; rows are of wrong plugins."""
    tables = {
        "checks of backends": checks_table(BACKEND_RULES),
        "checks of concept sets": checks_table(CONCEPT_SET_RULES),
        "wrong backends": wrong_table(backends),
        "wrong concept sets": wrong_table(sets),
    }
    for name, lines in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        head, _, rest = text.partition(begin)
        _, _, tail = rest.partition(end)
        table = "".join(f"{line}\n" for line in lines)
        text = f"{head}{begin}\n{table}\n{end}{tail}"
    return text


def checks_table(rules: Sequence[Any]) -> Iterator[str]:
    """Yield the lines of a table of checks: the name, and what holds."""
    yield "| check | what holds |"
    yield "|---|---|"
    for rule in rules:
        yield f"| `{rule.name}` | {escaped(rule.statement)} |"


def wrong_table(rows: Sequence[Any]) -> Iterator[str]:
    """Yield the lines of a table of wrong plugins: what is wrong, and the check that says so."""
    yield "| wrong plugin | what is wrong | check |"
    yield "|---|---|---|"
    for row in rows:
        checks = [f"`{row.check}`"]
        checks += [f"(`{name}`)" for name in row.follows]
        yield f"| {row.name} | {escaped(row.fault)} | {' '.join(checks)} |"


def escaped(text: str) -> str:
    """Return a text in which Markdown reads no character as a mark."""
    for mark in "\\*_<>|":
        text = text.replace(mark, f"\\{mark}")
    return text


if __name__ == "__main__":
    main()
