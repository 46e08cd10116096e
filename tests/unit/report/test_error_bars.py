"""Intervals, stability and the chance level wherever a result is shown; nothing without them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from made_folds import with_error_bars
from rich.console import Console

from nd_plugin import Dissection, LayerReport, compare_dissections
from nd_plugin.plots import latex_table, plot_detectors, plot_iou, plot_ratio
from nd_plugin.report import tables
from nd_plugin.report.error_bars.records import CountInterval
from nd_plugin.report.error_bars.texts import (
    count_text,
    mean_count_text,
    per_cent,
)
from nd_plugin.report.tables import UNIT_COLUMNS
from nd_plugin.report.terminal import to_text
from nd_plugin.site.report_pages import to_html

NEW_COLUMNS = (
    "iou_low,iou_high,stability,margin,second_concept,p_value,q_value".split(",")
)
# what no report says of a run without folds and permutations
TRACES = (
    "interval",
    "by chance",
    "false-discovery",
    "p-value",
    "stab",
    "resample",
    "whisker",
)


@pytest.fixture
def result(pictured: Dissection) -> Dissection:
    """The small dissection with 8 folds and 19 permutations."""
    return with_error_bars(pictured)


@pytest.fixture(autouse=True)
def _no_open_figures() -> Iterator[None]:
    yield
    from matplotlib import pyplot as plt

    plt.close("all")


def lines_of(report: LayerReport, width: int) -> list[str]:
    return [line.rstrip() for line in to_text([report], width).splitlines()]


class TestTerminal:
    def test_at_80_columns(self, result: Dissection) -> None:
        intervals = result.intervals().counts
        unique, detectors = intervals.unique_detectors, intervals.detectors
        lines = lines_of(result.report(), 80)
        text = " ".join(" ".join(lines).split())
        headline = (
            f"2 unique detectors ({unique.low}-{unique.high}) · "
            f"3 detectors ({detectors.low}-{detectors.high}) among 5 units"
        )
        assert headline in text
        assert "intervals at 95 %, over 8 folds of the images" in lines
        chance = result.chance_level.detectors.mean
        assert f"{chance:.1f} detectors and " in text
        part = intervals.unique_detectors_by_category["part"]
        assert f"part 1 ({part.low}-{part.high})" in text
        low, high = result.intervals().iou(2).to_list()
        (row,) = [line for line in lines if line.startswith("object  cat")]
        assert f"0.2727  {low:.3f}-{high:.3f}   100 %  0.05     2" in row
        assert max(map(len, lines)) <= 80

    def test_columns_give_way(self, result: Dissection) -> None:
        """The p-value first, then stability, then the interval; paragraphs have all of them."""
        report = result.report()
        headers = ("95 %", "stable", " p ")
        header_of = {}
        for width in (80, 70, 64, 58, 30):
            lines = lines_of(report, width)
            (header,) = [line for line in lines if line.startswith("best")]
            header_of[width] = [name in header for name in headers]
            assert max(map(len, lines)) <= width
        assert header_of[80] == [True, True, True]
        assert header_of[70] == [True, True, False]
        assert header_of[64] == [True, False, False]
        assert header_of[58] == [False, False, False]
        paragraphs = " ".join(" ".join(lines_of(report, 30)).split())
        assert "stable 100 %, p 0.05" in paragraphs

    def test_one_unit(self, result: Dissection) -> None:
        console = Console(width=80, file=io.StringIO(), record=True)
        console.print(result.show(2))
        text = " ".join(console.export_text().split())
        low, high = result.intervals().iou(2).to_list()
        margin = result.iou[2, 0] - result.iou[2, 1]
        assert (
            f"IoU {low:.3f}-{high:.3f} (95 % interval); label kept in 100 %" in text
        )
        assert f"IoU {margin:.4f} above the second (dog)" in text
        assert "p-value 0.05, q-value" in text
        content = result.show(2).content()
        assert content["iou_low"] == low
        assert content["second_concept"] == "dog"
        assert content["p_value"] == 0.05

    def test_texts(self) -> None:
        assert count_text(38, CountInterval(31, 44)) == "38 (31-44)"
        assert count_text(38, None) == "38"
        assert [per_cent(share) for share in (0.0, 0.004, 0.01, 0.996, 1.0)] == [
            "0 %",
            "< 1 %",
            "1 %",
            "> 99 %",
            "100 %",
        ]
        assert [mean_count_text(mean) for mean in (0.0, 0.42, 9.96, 38.2)] == [
            "0.0",
            "0.4",
            "10",
            "38",
        ]


class TestTables:
    def test_units_csv(self, result: Dissection, tmp_path: Path) -> None:
        result.save(tmp_path / "layer")
        rows = list(
            csv.DictReader((tmp_path / "layer/units.csv").read_text().splitlines())
        )
        assert list(rows[0]) == [*UNIT_COLUMNS, *NEW_COLUMNS]
        assert float(rows[2]["iou_low"]) == result.intervals().iou_low[2]
        assert float(rows[2]["stability"]) == 1.0
        assert rows[2]["second_concept"] == "dog"
        assert float(rows[2]["p_value"]) == 0.05
        loaded = Dissection.load(tmp_path / "layer")
        assert (
            loaded.intervals().iou_low.tolist()
            == result.intervals().iou_low.tolist()
        )

    def test_folds_or_permutations_alone(self, result: Dissection) -> None:
        only_folds = replace(result, chance=None)
        header = tables.units_csv(only_folds).splitlines()[0]
        assert header == ",".join([*UNIT_COLUMNS, *NEW_COLUMNS[:5]])
        only_chance = replace(result, folds=None)
        header = tables.units_csv(only_chance).splitlines()[0]
        assert header == ",".join([*UNIT_COLUMNS, *NEW_COLUMNS[5:]])

    def test_beside_a_run_without(
        self, result: Dissection, dissection: Dissection
    ) -> None:
        text = tables.to_csv([result.report(), dissection.report()])
        rows = list(csv.DictReader(io.StringIO(text)))
        assert rows[2]["p_value"] == "0.05"
        assert rows[7]["p_value"] == ""
        assert len(rows) == 10

    def test_json(self, result: Dissection) -> None:
        content = json.loads(result.to_json())
        assert content["intervals"]["folds"] == 8
        counts = result.intervals().counts
        assert content["intervals"]["detectors"] == counts.detectors.to_list()
        chance = content["chance"]
        assert chance["permutations"] == 19
        assert chance["false_discovery_rate"] == result.false_discovery_rate
        assert chance["detectors"]["mean"] == result.chance_level.detectors.mean
        assert content["units"][2]["stability"] == 1.0
        layers = json.loads(tables.to_json([result.report()]))["layers"]
        assert layers[0]["intervals"] == content["intervals"]
        assert layers[0]["unit_scores"][2]["p_value"] == 0.05

    def test_pandas(self, result: Dissection) -> None:
        pytest.importorskip("pandas")
        frame = result.to_pandas()
        assert list(frame.columns[-7:]) == NEW_COLUMNS
        assert frame.loc[2, "p_value"] == 0.05

    def test_latex(self, result: Dissection, dissection: Dissection) -> None:
        counts = result.intervals().counts
        low, high = counts.unique_detectors.to_list()
        table = latex_table({"sure": result, "plain": dissection})
        head, row, plain = [line for line in table.splitlines() if "&" in line]
        assert "detectors & by chance & unique" in head
        assert f"& 2 ({low}--{high}) &" in row
        assert "& 5 & 3 & -- & 2 & 1 & 1" in plain
        assert head.count("&") == row.count("&") == plain.count("&")


class TestComparison:
    def test_counts_beside_a_run_without(
        self, result: Dissection, dissection: Dissection
    ) -> None:
        comparison = compare_dissections([result, dissection], ["a", "b"])
        low, high = result.intervals().counts.unique_detectors.to_list()
        console = Console(width=100, file=io.StringIO(), record=True)
        console.print(comparison)
        lines = console.export_text().splitlines()
        (row,) = [line for line in lines if line.startswith("unique detectors")]
        assert row.split() == ["unique", "detectors", "2", f"({low}-{high})", "2"]
        (rate,) = [
            line for line in lines if line.startswith("false-discovery rate")
        ]
        assert rate.split()[-1] == "-"
        layers = comparison.to_dict()["layers"]
        assert layers[0]["intervals"]["unique_detectors"] == [low, high]
        assert "intervals" not in layers[1]


class TestPages:
    def test_report(self, result: Dissection) -> None:
        low, high = result.intervals().counts.unique_detectors.to_list()
        page = to_html([result.report()])
        assert f'<b>2 <span class="range">{low}–{high}</span></b>' in page
        assert "false-discovery rate</span>" in page
        assert 'class="whisker"' in page
        start = page.index('id="data-layers"')
        block = page[page.index(">", start) + 1 : page.index("</script>", start)]
        units = json.loads(block)[0]["units"]
        assert units["chance"]["p"][2] == 0.05
        assert units["intervals"]["stability"][2] == 1.0
        assert units["intervals"]["second"][2] == 1

    def test_notebook(self, result: Dissection) -> None:
        low, high = result.intervals().counts.unique_detectors.to_list()
        text = result._repr_html_()
        assert f"<b>2 ({low}–{high}) unique detectors</b>" in text
        assert "intervals at 95 %" in text
        assert "p-value 0.05" in result.show(2)._repr_html_()


class TestFigures:
    def test_whiskers(self, result: Dissection, dissection: Dissection) -> None:
        counts = result.intervals().counts
        ax = plot_detectors({"a": result, "b": dissection})
        (whisker,) = ax.lines
        assert whisker.get_xdata().tolist() == counts.unique_detectors.to_list()
        assert whisker.get_ydata().tolist() == [0, 0]
        assert ax.get_xlim()[1] > counts.unique_detectors.high
        (whisker,) = plot_detectors(result, unique=False).lines
        assert whisker.get_xdata().tolist() == counts.detectors.to_list()
        (whisker,) = plot_ratio(result).lines
        ends = [end / 5 for end in counts.unique_detectors.to_list()]
        assert whisker.get_xdata().tolist() == ends

    def test_chance_line(self, result: Dissection, dissection: Dissection) -> None:
        def marks(ax: object) -> list[str]:
            return [text.get_text() for text in ax.texts]  # type: ignore[attr-defined]

        chance = result.chance_level.iou.mean()
        assert f"chance: {chance:.3g}" in marks(plot_iou(result))
        assert "chance: 0.3" in marks(plot_iou(result, chance=0.3))
        assert len(marks(plot_iou(dissection))) == 1
        assert len(marks(plot_iou([result, dissection]))) == 1


def test_nothing_changes_without_folds_and_permutations(
    pictured: Dissection,
) -> None:
    report = pictured.report()
    comparison = compare_dissections([pictured, replace(pictured)], ["a", "b"])
    texts = [
        to_text([report]),
        tables.to_csv([report]),
        tables.to_json([report]),
        json.dumps(comparison.to_dict()),
        latex_table(pictured),
        pictured._repr_html_(),
        pictured.show(2)._repr_html_(),
        json.dumps(pictured.show(2).content()),
    ]
    for text in texts:
        for trace in TRACES:
            assert trace not in text, trace
    assert plot_detectors(pictured).lines[:] == []
    assert tables.units_csv(pictured).splitlines()[0] == ",".join(UNIT_COLUMNS)
    assert report.intervals is None
    assert report.chance_level is None
