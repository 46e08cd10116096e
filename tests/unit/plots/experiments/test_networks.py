"""Columns of networks: order, parts, totals, intervals; widths; shares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folded import folded
from matplotlib.axes import Axes
from published_files import DESCRIPTIONS, UNIQUE, write_summary, write_text

from nd_plugin import BadInput, Dissection, LayerReport
from nd_plugin.plots import (
    plot_category_shares,
    plot_detectors,
    plot_networks,
    plot_widths,
)
from nd_plugin.report.foreign_tables.recognition import read_foreign_result


@pytest.fixture
def networks(tmp_path: Path) -> list[LayerReport]:
    return read_foreign_result(write_summary(tmp_path / "s.mat"))


def names(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


def parts(ax: Axes) -> dict[str, list[float]]:
    """Heights of the parts of each column, by category."""
    return {
        str(container.get_label()): [patch.get_height() for patch in container]
        for container in ax.containers  # type: ignore[attr-defined]
    }


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


class TestNetworks:
    def test_the_most_stand_first(self, networks: list[LayerReport]) -> None:
        ax = plot_networks(networks)
        assert names(ax) == ["net_wide", "net_places", "net_random"]
        assert texts(ax) == ["12", "9", "2"]
        assert parts(ax)["object"] == [6, 4, 0]
        assert parts(ax)["texture"] == [1, 2, 2]
        tops = np.sum(list(parts(ax).values()), axis=0)
        assert tops.tolist() == [12, 9, 2]
        assert ax.get_ylabel() == "unique detectors, per category"

    def test_a_run_beside_counts_is_counted_as_they_are(
        self, networks: list[LayerReport], dissection: Dissection
    ) -> None:
        # unit 1 is a detector of tail, and its best object 1 / 239 is none
        intersection = dissection.intersection.copy()
        intersection[1, 1] = 10  # dog, IoU 10 / 130: below tail's 30 / 120
        both = replace(dissection, intersection=intersection)
        report = replace(both.report(), run="run")
        assert report.summary.unique_detectors == 2
        ax = plot_networks([report, networks[0]])
        assert names(ax) == ["run", "net_random"] and texts(ax) == ["3", "2"]
        alone = plot_networks([both])
        assert texts(alone) == ["2"]
        assert alone.get_ylabel() == "unique detectors"
        # so do the bars of nd report
        bars = plot_detectors([report, networks[0]])
        assert texts(bars) == ["3", "2"]
        assert bars.get_xlabel() == "unique detectors, per category"

    def test_runs_with_folds_have_error_bars(self, dissection: Dissection) -> None:
        overlaps = np.full((10, 4), 200)
        overlaps[:6, 0] = 0
        overlaps[6:, 0] = 190  # an IoU of 0.04 from four of ten folds
        report = folded(dissection, overlaps).report()
        assert report.intervals is not None
        interval = report.intervals.counts.unique_detectors
        assert interval.low < interval.high
        ax = plot_networks([report])
        (line,) = ax.collections
        (segment,) = line.get_segments()  # type: ignore[attr-defined]
        assert segment[:, 1].tolist() == [interval.low, interval.high]

    def test_labels_without_iou_are_refused(self, tmp_path: Path) -> None:
        reports = read_foreign_result(write_text(tmp_path / "c.csv", DESCRIPTIONS))
        for plot in (plot_networks, plot_category_shares, plot_widths):
            with pytest.raises(BadInput, match="layer1 has labels without IoU"):
                plot(reports)


class TestShares:
    def test_add_up_to_one(self, networks: list[LayerReport]) -> None:
        ax = plot_category_shares(networks)
        assert names(ax) == ["net_random", "net_places", "net_wide"]
        sums = np.sum(list(parts(ax).values()), axis=0)
        np.testing.assert_allclose(sums, 1, rtol=1e-12)
        assert parts(ax)["texture"] == [1.0, 2 / 9, 1 / 12]
        assert texts(ax) == [str(row[0]) for row in UNIQUE]


class TestWidths:
    def test_a_curve_over_the_units(self, networks: list[LayerReport]) -> None:
        ax = plot_widths(networks)
        curves = {str(line.get_label()): line for line in ax.lines}
        assert list(curves["all"].get_xdata()) == [256, 512]
        # the mean of the two networks of 256 units
        assert list(curves["all"].get_ydata()) == [5.5, 12]
        assert list(curves["object"].get_ydata()) == [2, 6]
        assert texts(ax) == ["2%", "2%"]
        assert ax.get_xlabel() == "units of the layer"

    def test_an_unknown_width_is_refused(self, networks: list[LayerReport]) -> None:
        summary = replace(networks[0].summary, units=0)
        unknown = replace(networks[0], summary=summary)
        with pytest.raises(BadInput, match="units of net_random is not known"):
            plot_widths([unknown, networks[1]])
