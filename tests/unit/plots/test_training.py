"""Figures of trainings, and of accuracies: what is drawn, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from folded import folded
from matplotlib.axes import Axes

from nd_plugin import Dissection
from nd_plugin.errors import BadInput
from nd_plugin.plots.experiments.discrimination import (
    plot_accuracies,
    plot_discrimination,
)
from nd_plugin.plots.experiments.histories import UNIT_ROWS, plot_histories
from nd_plugin.plots.experiments.training import plot_kept, plot_training


@pytest.fixture
def stages(dissection: Dissection) -> list[Dissection]:
    """Stages with no detectors, and with detectors of cat, tail and cat."""
    return [
        replace(dissection, intersection=dissection.intersection * 0),
        dissection,
    ]


def curves(ax: Axes) -> dict[str, list[float]]:
    return {
        str(line.get_label()): list(np.asarray(line.get_ydata(), float))
        for line in ax.lines
    }


class TestTraining:
    def test_a_panel_for_each_layer(self, stages: list[Dissection]) -> None:
        figure = plot_training({"conv1": stages, "conv2": stages[::-1]}, [1, 10])
        first, second = figure.axes
        assert curves(first) == {"all": [0, 2], "object": [0, 1], "part": [0, 1]}
        assert curves(second)["all"] == [2, 0]
        assert first.get_ylabel() == "unique detectors of\nconv1"

    def test_accuracies_have_an_axis_of_their_own(
        self, stages: list[Dissection]
    ) -> None:
        figure = plot_training({"x": stages}, [10, 1], [0.75, 0.25], xlabel="epoch")
        left, right = figure.axes
        assert curves(right) == {"accuracy": [0.25, 0.75]}, (
            "in the order of the steps"
        )
        assert left.get_xlabel() == "epoch"
        without = plot_training({"x": stages}, [1, 10], [math.nan, math.nan])
        assert len(without.axes) == 1

    def test_repeats_have_a_band(self, stages: list[Dissection]) -> None:
        blank, full = stages
        figure = plot_training({"x": [[blank, full], [full, full]]}, [1, 2])
        assert curves(figure.axes[0])["all"] == [1, 2]
        assert len(figure.axes[0].collections) == 3, "a band for each curve"

    def test_single_runs_with_folds_have_the_band_of_their_intervals(
        self, dissection: Dissection
    ) -> None:
        overlaps = np.full((10, 4), 200)
        overlaps[:6, 0] = 0
        overlaps[6:, 0] = 190  # an IoU of 0.04 from four of ten folds
        run = folded(dissection, overlaps)
        interval = run.report().intervals
        assert interval is not None
        unique = interval.counts.unique_detectors
        for stage in (run, [run]):
            figure = plot_training({"x": [stage, stage]}, [1, 2])
            (band,) = figure.axes[0].collections
            ends = np.asarray(band.get_datalim(figure.axes[0].transData))
            assert ends[:, 1].tolist() == [unique.low, unique.high]

    @pytest.mark.parametrize(
        ("steps", "scale"),
        [([1, 10], "linear"), ([1, 1000], "log"), ([0, 1000], "linear")],
    )
    def test_steps_that_differ_widely(
        self, stages: list[Dissection], steps: list[float], scale: str
    ) -> None:
        assert plot_training({"x": stages}, steps).axes[0].get_xscale() == scale

    def test_an_untrained_network_stays_on_the_axis(
        self, stages: list[Dissection]
    ) -> None:
        figure = plot_training({"x": [stages[0], *stages]}, [0, 1, 1000])
        assert figure.axes[0].get_xscale() == "symlog"

    def test_refused(self, stages: list[Dissection]) -> None:
        with pytest.raises(BadInput, match="no layer"):
            plot_training({}, [1])
        with pytest.raises(BadInput, match="1 accuracies for 2 stages"):
            plot_training({"x": stages}, [1, 2], [0.5])
        with pytest.raises(BadInput, match="2 results and 1 snapshots"):
            plot_training({"x": stages}, [1])


class TestHistories:
    def test_concepts_stand_where_they_begin(
        self, stages: list[Dissection]
    ) -> None:
        blank, full = stages
        reports = [item.report() for item in (blank, full, full)]
        ax = plot_histories(reports, [1, 2, 3], xlabel="epoch")
        texts = [(text.get_text(), text.get_position()[0]) for text in ax.texts]
        assert [text for text, _ in texts] == ["cat", "tail", "cat"]
        assert all(0.5 <= position < 1 for _, position in texts), (
            "at the second stage"
        )
        assert [label.get_text() for label in ax.get_yticklabels()] == [
            "0",
            "1",
            "2",
        ]
        assert len(ax.patches) == 6, "a cell for each detector and stage"

    def test_units_may_be_chosen(self, stages: list[Dissection]) -> None:
        reports = [item.report() for item in stages]
        ax = plot_histories(reports, [1, 2], units=[2, 4])
        assert [label.get_text() for label in ax.get_yticklabels()] == ["2", "4"]
        with pytest.raises(BadInput, match="unit 5 is none of 0 to 4"):
            plot_histories(reports, [1, 2], units=[5])

    def test_no_detectors(self, stages: list[Dissection]) -> None:
        ax = plot_histories([stages[0].report()], [1])
        assert [text.get_text() for text in ax.texts] == ["no detectors"]

    def test_of_many_units_the_most_lasting(self, dissection: Dissection) -> None:
        count = UNIT_ROWS + 8
        wide = replace(
            dissection,
            thresholds=np.zeros(count),
            intersection=np.tile([60, 0, 0, 0], (count, 1)),
            unit_area=np.full((count, 2), 100),
            dead=np.zeros(count, bool),
            sparse=np.zeros(count, bool),
        )
        late = wide.intersection.copy()
        late[:8] = 0
        first = replace(wide, intersection=late)
        ax = plot_histories([first.report(), wide.report()], [1, 2])
        units = [int(label.get_text()) for label in ax.get_yticklabels()]
        assert units == list(range(8, count))

    def test_steps_have_to_fit(self, stages: list[Dissection]) -> None:
        with pytest.raises(BadInput, match="1 stages and 2 steps"):
            plot_histories([stages[0].report()], [1, 2])


class TestKept:
    def test_bars_are_stacked(self) -> None:
        fates = [
            {"kept": 3, "changed: shape": 2, "lost": 0, "gained": 1},
            {"kept": 1, "changed: none": 4, "lost": 2, "gained": 0},
        ]
        ax = plot_kept(fates, ["1 to 2", "2 to 3"])
        widths = [[bar.get_width() for bar in bars] for bars in ax.containers]
        assert widths == [[3, 1], [2, 0], [0, 4], [0, 2], [1, 0]]
        ends = [bars[1].get_x() + bars[1].get_width() for bars in ax.containers]
        assert ends == [1, 1, 5, 7, 7]
        legend = ax.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == [
            "kept", "changed: shape", "changed: none", "lost", "gained",
        ]  # fmt: skip

    def test_refused(self) -> None:
        with pytest.raises(BadInput, match="no stage"):
            plot_kept([], [])
        with pytest.raises(BadInput, match="1 stages and 2 steps"):
            plot_kept([{"kept": 1}], ["a", "b"])


class TestAccuracies:
    def test_bars_with_intervals_and_rotations(self) -> None:
        accuracies = {"conv1": (0.5, (0.4, 0.6)), "conv2": (0.8, (0.7, 0.9))}
        ax = plot_accuracies(accuracies, {"conv1": [0.48, 0.52]}, chance=0.25)
        assert [bar.get_width() for bar in ax.patches] == [0.5, 0.8]
        marks = [list(np.asarray(line.get_xdata(), float)) for line in ax.lines]
        assert [0.48, 0.52] in marks and [0.25, 0.25] in marks
        with pytest.raises(BadInput, match="no accuracy"):
            plot_accuracies({})

    def test_points_of_networks(self) -> None:
        ends: list[Any] = [(8, 14), None]
        ax = plot_discrimination(
            [10, 30],
            [0.5, 0.8],
            [(0.4, 0.6), (0.7, 0.9)],
            ["alexnet", "vgg"],
            title="correlation 0.9",
            detector_intervals=ends,
        )
        assert [text.get_text() for text in ax.texts] == ["alexnet", "vgg"]
        assert ax.get_xlabel() == "unique object detectors"
        assert ax.get_title() == "correlation 0.9"
        lines = [tuple(np.asarray(line.get_xdata(), float)) for line in ax.lines]
        assert (8.0, 14.0) in lines
        with pytest.raises(BadInput, match="of each network"):
            plot_discrimination([1], [0.5], [(0, 1)], ["a", "b"])
        with pytest.raises(BadInput, match="of each network"):
            plot_discrimination([], [], [], [])
