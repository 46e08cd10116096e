"""Conformance kit of reporters: wrong ones are caught by name, and right ones pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wrong_reporters import RIGHT, WRONG, Reporter, WrongReporter, table

from nd_plugin import LayerReport, ReportContent
from nd_plugin.testing import ConformanceError, check_reporter, reporter_checks
from nd_plugin.testing.reporter_kit import content_rules
from nd_plugin.testing.reporter_kit.other_process import is_importable
from nd_plugin.testing.reporters import REPORTER_RULES

PAGE = Path(__file__).parents[3] / "docs" / "plugins.md"


def broken_by(reporter: Any) -> list[str]:
    """Return the names of the checks that a reporter breaks."""
    try:
        check_reporter(reporter)
    except ConformanceError as error:
        return [check.name for check in error.broken]
    return []


def in_this_process(reporter: Reporter) -> Reporter:
    """Return a reporter that no other process can import: quicker, and two checks less."""

    def here(reports: list[LayerReport]) -> ReportContent:
        return reporter(reports)

    return here  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def at_once(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let no second pass between two calls, but for a reporter that writes the time."""
    if "writes the time" not in request.node.name:
        monkeypatch.setattr(content_rules, "SECONDS_BETWEEN", 0.0)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.fault)
def test_a_wrong_reporter_is_caught(wrong: WrongReporter) -> None:
    reporter: Any = wrong.reporter
    needs_process = wrong.check in ("other-process", "needs-no-torch")
    broken = broken_by(reporter if needs_process else in_this_process(reporter))
    assert set(broken) == {wrong.check, *wrong.following}


@pytest.mark.parametrize(
    "reporter", [*RIGHT, table], ids=lambda right: right.__name__
)
def test_a_right_reporter_passes(reporter: Reporter) -> None:
    assert broken_by(in_this_process(reporter)) == []


def test_a_right_reporter_passes_in_another_process() -> None:
    assert is_importable(RIGHT[0])
    assert broken_by(RIGHT[0]) == []


def test_the_checks_of_a_function_of_a_module_are_two_more() -> None:
    names = [str(check) for check in reporter_checks(RIGHT[0])]
    here = [str(check) for check in reporter_checks(in_this_process(RIGHT[0]))]
    assert set(names) - set(here) == {"other-process", "needs-no-torch"}
    assert len(set(names)) == len(names)


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of a table on the page for plugin authors, by its first line."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition(f"{heading}\n")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return rows[1:]  # without the rule below the heading


def test_the_page_lists_the_checks() -> None:
    expected = [[f"`{rule.name}`", rule.statement] for rule in REPORTER_RULES]
    assert rows_of("of reporters | what holds |") == expected


def test_the_page_lists_the_wrong_reporters() -> None:
    expected = [[wrong.fault, f"`{wrong.check}`"] for wrong in WRONG]
    assert rows_of("mistake of a reporter | check |") == expected


def test_the_example_of_the_page_is_right() -> None:
    text = PAGE.read_text(encoding="utf-8")
    source = text.partition("## Reporters\n")[2].partition("```python\n")[2]
    names: dict[str, Any] = {}
    exec(source.partition("```")[0], names)
    assert broken_by(names["to_sheet"]) == []
