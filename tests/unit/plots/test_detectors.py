"""Bars of detectors by category: lengths, order, colours, totals, names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from nd_plugin import BadInput, Dissection, LayerReport
from nd_plugin.plots import plot_detectors, plot_ratio
from nd_plugin.report.colours import OF_CATEGORY
from nd_plugin.report.netdissect_csv import read_netdissect_csv


def bars(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """Start and length of the part of each row, by category."""
    return {
        str(container.get_label()): [
            (patch.get_x(), patch.get_width()) for patch in container
        ]
        for container in ax.containers  # type: ignore[attr-defined]
    }


def names(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def totals(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def legend(ax: Axes) -> list[str]:
    box = ax.get_legend()
    assert box is not None
    return [text.get_text() for text in box.get_texts()]


class TestDetectors:
    def test_one_layer(self, dissection: Dissection) -> None:
        ax = plot_detectors(dissection)
        assert bars(ax) == {"object": [(0, 1)], "part": [(1, 1)]}
        assert names(ax) == ["block.1/relu"] and totals(ax) == ["2"]
        assert ax.get_xlabel() == "unique detectors"
        assert pyplot.gcf() is ax.figure

    def test_layers_stand_below_each_other(
        self, dissection: Dissection, later: Dissection
    ) -> None:
        ax = plot_detectors([dissection, later], unique=False)
        assert bars(ax) == {
            "object": [(0, 2), (0, 1)],
            "part": [(2, 1), (1, 2)],
        }
        assert names(ax) == ["block.1/relu", "block.2"]
        assert totals(ax) == ["3", "3"] and ax.get_xlabel() == "detectors"
        bottom, top = ax.get_ylim()
        assert bottom > top, "the first at the top"

    def test_colours_are_those_of_reports(self, dissection: Dissection) -> None:
        ax = plot_detectors(dissection)
        for container in ax.containers:
            (patch,) = container  # type: ignore[misc]
            colour = to_hex(patch.get_facecolor())
            assert colour == OF_CATEGORY[str(container.get_label())]

    def test_categories_have_the_order_of_the_paper(
        self, dissection: Dissection
    ) -> None:
        report = replace(
            dissection.report(), categories=("my own", "part", "object")
        )
        assert legend(plot_detectors(report)) == ["object", "part"]

    def test_no_detectors(self, dissection: Dissection) -> None:
        nothing = replace(dissection, intersection=dissection.intersection * 0)
        ax = plot_detectors(nothing)
        assert totals(ax) == ["0"] and bars(ax) == {}
        assert ax.get_legend() is None and ax.get_xlim() == (0, 1)

    def test_names_of_users(
        self, dissection: Dissection, later: Dissection
    ) -> None:
        ax = plot_detectors({"$a_b$": dissection, "x" * 50: later})
        first, second = names(ax)
        assert first == "$a_b$" and not ax.get_yticklabels()[0].get_parse_math()
        assert second == "x" * 34 + "\n" + "x" * 16, "folded, not cut"

    @pytest.mark.parametrize(
        ("results", "message"),
        [
            ([], "no result to show"),
            ({}, "no result to show"),
            ("run", "a result is of type str; expected a Dissection"),
            ([None], "a result is of type NoneType"),
        ],
    )
    def test_what_is_no_result(self, results: Any, message: str) -> None:
        with pytest.raises(BadInput, match=message):
            plot_detectors(results)

    def test_the_authors_file(self, real_data: Path) -> None:
        """The counts are those of the file's own lines (docs/method.md)."""
        path = real_data / "netdissect_published" / "ResNet-152-model_imagenet.csv"
        ax = plot_detectors(read_netdissect_csv(path, 0.04))
        lengths = {name: row[0][1] for name, row in bars(ax).items()}
        assert lengths == {
            "object": 63,
            "part": 16,
            "scene": 68,
            "material": 5,
            "texture": 43,
            "color": 2,
        }
        assert totals(ax) == ["197"]


class TestRatio:
    def test_shares(self, dissection: Dissection, later: Dissection) -> None:
        fewer_units = replace(
            later.report(), summary=replace(later.summary(), units=4)
        )
        ax = plot_ratio([dissection, fewer_units])
        assert bars(ax) == {
            "object": [(0, 0.2), (0, 0.25)],
            "part": [(0.2, 0.2), (0.25, 0.25)],
        }
        assert totals(ax) == ["40.0%", "50.0%"]

    def test_a_file_without_units(self, file_report: LayerReport) -> None:
        empty = replace(
            file_report,
            summary=replace(
                file_report.summary, units=0, unique_detectors_by_category={}
            ),
        )
        assert totals(plot_ratio(empty)) == ["0.0%"]


class TestAxes:
    def test_into_given_axes(self, dissection: Dissection) -> None:
        _, (left, right) = pyplot.subplots(1, 2)
        assert plot_detectors(dissection, left) is left
        assert left.containers and not right.containers
        assert len(pyplot.get_fignums()) == 1, "no other figure"

    def test_what_are_no_axes(self, dissection: Dissection) -> None:
        figure, _ = pyplot.subplots()
        with pytest.raises(BadInput, match="ax is of type Figure"):
            plot_detectors(dissection, figure)  # type: ignore[arg-type]

    def test_the_users_settings_stay(self, dissection: Dissection) -> None:
        with pyplot.rc_context({"font.size": 23.0}):
            settings = dict(rcParams)
            plot_detectors(dissection)
            assert dict(rcParams) == settings

    def test_texts_are_readable_in_a_column(
        self, dissection: Dissection, later: Dissection
    ) -> None:
        ax = plot_detectors([dissection, later])
        figure = ax.figure
        width, _ = figure.get_size_inches()  # type: ignore[union-attr]
        assert width == pytest.approx(3.5, abs=0.01), "a column of a paper"
        sizes = [text.get_fontsize() for text in ax.texts]
        sizes += [label.get_fontsize() for label in ax.get_yticklabels()]
        assert min(sizes) >= 6, "points"

    def test_the_background_is_the_users(self, dissection: Dissection) -> None:
        with pyplot.style.context("dark_background"):
            ax = plot_detectors(dissection)
        assert to_hex(ax.get_facecolor()) == "#000000"
        assert to_hex(ax.texts[0].get_color()) == "#ffffff"
