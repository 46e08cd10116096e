"""Pages of a run with folds and permutations, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, visit
from large_result import large_result
from made_folds import with_error_bars

from nd_plugin import Dissection, compare_dissections

NAMES = ("tree", "<b>sky</b>", "road", "car")
UNIT = 7


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as process:
        yield process


@pytest.fixture(scope="module")
def result() -> Dissection:
    return with_error_bars(large_result(20, NAMES, ("object", "part")), folds=8)


@pytest.fixture(scope="module")
def folder(result: Dissection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "report"
    result.to_html(path)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_summary(
    folder: Path, browser: Any, result: Dissection, scheme: str, width: int
) -> None:
    """Readable on every screen, and no wider than it."""
    counts = result.intervals().counts
    with visit(
        browser, folder / "index.html", width=width, scheme=scheme
    ) as visiting:
        visiting.page.wait_for_selector(".card")
        visiting.check_readable()
        unique = counts.unique_detectors
        assert f"{unique.low}–{unique.high}" in visiting.text(".figures")
        assert "Intervals at 95 %, over 8 folds of the images." in visiting.text(
            "main"
        )
        assert visiting.page.locator(".bars .whisker").count() == 2
        content_width = visiting.page.evaluate(
            "document.documentElement.scrollWidth"
        )
        assert content_width <= width


def test_unit_page(folder: Path, browser: Any, result: Dissection) -> None:
    intervals = result.intervals()
    low, high = intervals.iou(UNIT).to_list()
    second = NAMES[int(intervals.seconds[UNIT])]
    p = result.p_values[UNIT]
    with visit(browser, folder / "index.html", f"#layer-1/unit-{UNIT}") as visiting:
        facts = visiting.page.locator("#view dl.facts")
        facts.wait_for()
        text = facts.inner_text()
        assert f"IoU {low:.3f}–{high:.3f}" in text
        assert (
            f"IoU {intervals.margins[UNIT]:.4f} above the second, {second}" in text
        )
        assert f"p-value\n{p:.4g}, q-value" in text
        visiting.check_readable()


def test_comparison(result: Dissection, browser: Any, tmp_path: Path) -> None:
    plain = large_result(20, NAMES, ("object", "part"))
    compare_dissections([result, plain], ["sure", "plain"]).to_html(
        tmp_path / "both"
    )
    unique = result.intervals().counts.unique_detectors
    with visit(browser, tmp_path / "both/index.html", scheme="dark") as visiting:
        ranges = visiting.page.locator(".layers .range")
        assert ranges.all_inner_texts() == [f"{unique.low}–{unique.high}"]
        visiting.check_readable()
