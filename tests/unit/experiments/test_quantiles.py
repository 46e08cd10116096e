"""Sweeps over τ: counts at each quantile, tables, figures, from results of any kind."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_folds import with_error_bars
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from planted import HOW, IMAGES, Numbered, Planted, drawn

from nd_plugin import BadInput, Dissection, Settings, open_concepts
from nd_plugin.engine.run import run
from nd_plugin.experiments.quantiles import save_sweeps, sweep_quantiles
from nd_plugin.plots import plot_iou_over_quantiles, plot_labels_over_quantiles
from nd_plugin.plots.style import SMALL
from nd_plugin.probe_data.batches import Feed
from nd_plugin.report.terminal import to_text
from nd_plugin.report.thresholds.sweep import quantile_sweeps
from nd_plugin.report.thresholds.tables import to_csv
from nd_plugin.results.run_folder import load_run, save_run
from nd_plugin.site.report_pages import to_html

QUANTILES = (0.005, 0.01, 0.02)


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    pyplot.close("all")
    yield
    pyplot.close("all")


@pytest.fixture
def swept(dissection: Dissection) -> list[Dissection]:
    """Three quantiles: IoU of unit 0 rises, of unit 1 falls, unit 2 becomes a dog at last."""
    results = []
    for step, quantile in enumerate(QUANTILES):
        intersection = dissection.intersection.copy()
        intersection[0, 0] += 20 * step
        intersection[1, 2] -= 10 * step
        if step == 2:
            intersection[2] = [0, 70, 0, 0]
        settings = replace(dissection.settings, quantile=quantile)
        results.append(
            replace(dissection, intersection=intersection, settings=settings)
        )
    return results


class TestCounts:
    def test_points_are_those_of_the_reports(self, swept: list[Dissection]) -> None:
        (sweep,) = sweep_quantiles(swept)
        assert sweep.quantiles == QUANTILES and sweep.reference == 0.005
        for point, dissection in zip(sweep.points, swept, strict=True):
            summary = dissection.summary()
            assert point.quantile == dissection.settings.quantile
            assert point.detectors == summary.detectors
            assert point.unique_detectors == summary.unique_detectors
            assert (
                point.unique_detectors_by_category
                == summary.unique_detectors_by_category
            )
            ious = dissection.iou.max(axis=1)
            assert point.median_iou == pytest.approx(np.median(ious), abs=0)
            assert sum(point.labels_by_category.values()) == 5

    def test_labels_that_stay_and_best_quantiles(
        self, swept: list[Dissection]
    ) -> None:
        (sweep,) = sweep_quantiles(swept)
        assert [point.kept_labels for point in sweep.points] == [5, 5, 4]
        # units 3 and 4 are the same at all: the smallest quantile
        assert sweep.best_quantiles == (0.02, 0.005, 0.02, 0.005, 0.005)
        assert [point.best_units for point in sweep.points] == [3, 0, 2]

    def test_the_order_of_results_does_not_matter(
        self, swept: list[Dissection]
    ) -> None:
        first, second, third = swept
        (sweep,) = sweep_quantiles([[third], [first, second.report()]])
        assert sweep.points == sweep_quantiles(swept)[0].points

    def test_the_paper_quantile_is_the_reference(
        self, swept: list[Dissection]
    ) -> None:
        settings = replace(swept[0].settings, quantile=0.001)
        (sweep,) = sweep_quantiles([*swept, replace(swept[2], settings=settings)])
        assert sweep.quantiles[0] == 0.001 and sweep.reference == 0.005
        (others,) = sweep_quantiles(swept[1:])
        assert others.reference == 0.01

    def test_layers_are_apart(self, swept: list[Dissection]) -> None:
        later = [replace(dissection, layer="later") for dissection in swept[:2]]
        alone = replace(swept[0], layer="alone")
        sweeps = sweep_quantiles([*swept, *later, alone])
        assert [sweep.title for sweep in sweeps] == ["block.1/relu", "later"]
        assert [len(sweep.points) for sweep in sweeps] == [3, 2]

    def test_one_quantile_is_no_sweep(self, dissection: Dissection) -> None:
        assert quantile_sweeps([dissection.report()]) == []
        with pytest.raises(
            BadInput,
            match=r"no layer at two quantiles or more \(quantiles: 0.005\)",
        ):
            sweep_quantiles([dissection])


def test_one_pass_counts_as_several_runs() -> None:
    """Counts at each τ of one pass are those of a run of its own, and the model runs once."""
    concepts = Numbered(open_concepts(f"shapes?images={IMAGES}&size=40&seed=3"))

    def dissect(settings: Settings) -> tuple[list[Dissection], int]:
        model = Planted({"layer": drawn(5)})
        feed = Feed.of(
            concepts, HOW, settings, torch.device("cpu"), batch_size=16, workers=0
        )
        return run(model, ["layer"], feed), len(model.seen)

    quantiles = (0.02, 0.05, 0.1, 0.2, 0.4)
    together, images = dissect(Settings(quantiles=quantiles))
    assert images == IMAGES
    for quantile, result in zip(quantiles, together, strict=True):
        (alone,), _ = dissect(Settings(quantile))
        assert np.array_equal(result.intersection, alone.intersection)
        assert np.array_equal(result.thresholds, alone.thresholds)
    (sweep,) = sweep_quantiles(together)
    assert sweep.quantiles == quantiles
    areas = [result.unit_area.sum() for result in together]
    assert areas == sorted(areas)


class TestTables:
    def test_as_csv(self, swept: list[Dissection]) -> None:
        rows = list(
            csv.DictReader(
                io.StringIO(to_csv([result.report() for result in swept]))
            )
        )
        assert [row["quantile"] for row in rows] == ["0.005", "0.01", "0.02"]
        last = rows[2]
        assert (last["layer"], last["units"]) == ("block.1/relu", "5")
        # cat, tail no longer (10 pixels), dog
        assert (last["unique_object"], last["unique_part"]) == ("2", "1")
        assert (last["labels_object"], last["labels_part"]) == ("4", "1")
        assert (last["kept_labels"], last["best_units"]) == ("4", "2")

    def test_saved_by_ending(self, swept: list[Dissection], tmp_path: Path) -> None:
        sweeps = sweep_quantiles(swept)
        table = save_sweeps(sweeps, tmp_path / "s.csv")
        assert table.read_text() == to_csv([result.report() for result in swept])
        content = json.loads(save_sweeps(sweeps, tmp_path / "s.json").read_text())
        (saved,) = content["quantile_sweeps"]
        assert [point["quantile"] for point in saved["points"]] == list(QUANTILES)
        assert saved["best_quantiles"] == [0.02, 0.005, 0.02, 0.005, 0.005]
        with pytest.raises(BadInput, match=r"neither .csv nor .json"):
            save_sweeps(sweeps, tmp_path / "s.txt")

    def test_reports_and_pages_have_it(self, swept: list[Dissection]) -> None:
        reports = [result.report() for result in swept]
        text = to_text(reports)
        assert "block.1/relu over τ" in text
        assert "same: units of 5 with the label that they have at τ 0.005" in text
        assert "over τ</h2>" in to_html(reports)
        assert "over τ" not in to_text(reports[:1])
        assert "over τ" not in to_html(reports[:1])

    def test_a_narrow_terminal_has_paragraphs(
        self, swept: list[Dissection]
    ) -> None:
        text = to_text([result.report() for result in swept], width=40)
        assert "0.02: unique 3, object 2, part 1" in " ".join(text.split())


def lines(ax: Axes) -> dict[str, list[float]]:
    """Heights of the lines that have a name."""
    return {
        str(line.get_label()): np.asarray(line.get_ydata()).tolist()
        for line in ax.lines
        if not str(line.get_label()).startswith("_")
    }


class TestFigures:
    def test_labels_over_quantiles(self, swept: list[Dissection]) -> None:
        ax = plot_labels_over_quantiles(swept)
        assert isinstance(ax, Axes)
        assert lines(ax) == {
            "all": [2, 2, 3],
            "object": [1, 1, 2],
            "part": [1, 1, 1],
        }

    def test_iou_over_quantiles(self, swept: list[Dissection]) -> None:
        ax = plot_iou_over_quantiles(swept)
        assert isinstance(ax, Axes)
        drawn_units = [np.asarray(line.get_ydata()) for line in ax.lines[:5]]
        expected = [dissection.iou.max(axis=1) for dissection in swept]
        assert np.array_equal(np.array(drawn_units).T, np.array(expected))
        medians = [float(np.median(values)) for values in expected]
        assert lines(ax)["all: median"] == pytest.approx(medians, abs=0)
        names = [text.get_text() for text in ax.get_legend().get_texts()]
        assert names == ["object", "part", "no detector", "all: median"]

    def test_several_layers_have_a_panel_each(
        self, swept: list[Dissection]
    ) -> None:
        later = [replace(dissection, layer="later") for dissection in swept[:2]]
        for draw in (plot_labels_over_quantiles, plot_iou_over_quantiles):
            figure = draw([*swept, *later])
            assert isinstance(figure, Figure)
            titles = [ax.get_ylabel().splitlines()[0] for ax in figure.axes]
            assert titles == ["block.1/relu", "later"]
            with pytest.raises(
                BadInput, match="ax takes one layer, and these are 2"
            ):
                draw([*swept, *later], ax=figure.axes[0])

    def test_a_single_quantile(self, dissection: Dissection) -> None:
        assert isinstance(plot_labels_over_quantiles(dissection), Axes)
        with pytest.raises(BadInput, match="two quantiles or more"):
            plot_iou_over_quantiles(dissection)

    def test_a_wide_range_is_logarithmic_with_its_ticks(
        self, swept: list[Dissection]
    ) -> None:
        settings = replace(swept[0].settings, quantile=0.1)
        wide = [*swept, replace(swept[0], settings=settings)]
        ax: Any = plot_labels_over_quantiles(wide)
        ticks = [text.get_text() for text in ax.get_xticklabels()]
        assert ax.get_xscale() == "log"
        assert ticks == ["0.005", "0.01", "0.02", "0.1"]


class TestErrorBars:
    @pytest.fixture
    def barred(self, swept: list[Dissection]) -> list[Dissection]:
        return [with_error_bars(dissection) for dissection in swept]

    def test_points_have_those_of_the_reports(
        self, barred: list[Dissection], tmp_path: Path
    ) -> None:
        (sweep,) = sweep_quantiles(barred)
        file = save_sweeps([sweep], tmp_path / "s.csv")
        rows = list(csv.DictReader(io.StringIO(file.read_text())))
        content = json.loads(save_sweeps([sweep], tmp_path / "s.json").read_text())
        points = content["quantile_sweeps"][0]["points"]
        for index, dissection in enumerate(barred):
            unique = dissection.intervals().counts.unique_detectors
            chance = dissection.chance_level.unique_detectors.mean
            ends = [unique.low, unique.high]
            assert points[index]["intervals"]["unique_detectors"] == ends
            assert points[index]["chance_unique_detectors"] == chance
            row = rows[index]
            assert [int(row["unique_low"]), int(row["unique_high"])] == ends
            assert float(row["chance_unique"]) == chance

    def test_they_are_shown(self, barred: list[Dissection]) -> None:
        text = to_text([dissection.report() for dissection in barred])
        unique = barred[0].intervals().counts.unique_detectors
        assert f"0.005  2 ({unique.low}-{unique.high})" in text
        assert "by chance: unique detectors to expect" in text

    def test_they_are_drawn(self, barred: list[Dissection]) -> None:
        ax = plot_labels_over_quantiles(barred)
        assert isinstance(ax, Axes)
        chance = [each.chance_level.unique_detectors.mean for each in barred]
        assert lines(ax)["by chance"] == chance
        (band,) = ax.collections
        heights = band.get_paths()[0].vertices[:, 1]
        unique = [each.intervals().counts.unique_detectors for each in barred]
        assert heights.max() == max(interval.high for interval in unique)
        assert heights.min() == min(interval.low for interval in unique)
        bottom, top = ax.get_ylim()
        assert bottom == 0 and top >= heights.max()
        (size,) = {text.get_fontsize() for text in ax.get_legend().get_texts()}
        assert size == SMALL

    def test_labels_by_another_score_go_without(
        self, barred: list[Dissection], tmp_path: Path
    ) -> None:
        view = barred[0].labelled_by("recall")
        assert (
            view.report().intervals is None and view.report().chance_level is None
        )
        assert "of labels by IoU, are left out" in view.notes[0]
        assert view.labelled_by("iou") is barred[0]
        loaded = Dissection.load(view.save(tmp_path / "layer"))
        assert loaded.folds is not None and loaded.chance is not None


def test_from_a_saved_run(swept: list[Dissection], tmp_path: Path) -> None:
    folder = save_run(tmp_path / "run", swept)
    (sweep,) = sweep_quantiles(load_run(folder))
    assert sweep.points == sweep_quantiles(swept)[0].points
