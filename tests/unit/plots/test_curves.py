"""Curves of unique detectors: means, spreads, order, scales."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from nd_plugin import BadInput, Dissection, LayerReport
from nd_plugin.plots import plot_emergence, plot_quantiles, plot_rotation


def at_limit(dissection: Dissection, min_iou: float) -> Dissection:
    """The dissection with other detectors. Unique: 2 at 0.04, 1 (cat) at 0.26, none at 0.5."""
    return replace(
        dissection, settings=replace(dissection.settings, min_iou=min_iou)
    )


def curves(ax: Axes) -> dict[str, tuple[list[float], list[float]]]:
    return {
        str(line.get_label()): (
            np.asarray(line.get_xdata()).tolist(),
            np.asarray(line.get_ydata()).tolist(),
        )
        for line in ax.lines
    }


def test_emergence(dissection: Dissection) -> None:
    snapshots = [at_limit(dissection, limit) for limit in (0.5, 0.26, 0.04)]
    ax = plot_emergence(snapshots, [0, 100, 1000])
    x = [0.0, 100.0, 1000.0]
    assert curves(ax) == {
        "all": (x, [0, 1, 2]),
        "object": (x, [0, 1, 1]),
        "part": (x, [0, 0, 1]),
    }
    assert not ax.collections, "no band without repeats"
    assert ax.get_xlabel() == "training iteration"
    assert plot_emergence(snapshots, x, xlabel="epoch").get_xlabel() == "epoch"


def test_points_are_put_in_order(dissection: Dissection) -> None:
    results = [at_limit(dissection, limit) for limit in (0.04, 0.5, 0.26)]
    x, y = curves(plot_rotation(results, [0, 1, 0.5]))["all"]
    assert (x, y) == ([0, 0.5, 1], [2, 1, 0])


def test_repeats_have_a_mean_and_a_standard_deviation(
    dissection: Dissection,
) -> None:
    repeats = [at_limit(dissection, limit) for limit in (0.04, 0.26, 0.5, 0.26)]
    ax = plot_rotation([dissection, repeats], [0, 1])
    assert curves(ax)["all"][1] == [2, 1]
    band, *_ = [item for item in ax.collections if isinstance(item, PolyCollection)]
    vertices = band.get_paths()[0].vertices
    at_one = vertices[vertices[:, 0] == 1][:, 1]
    deviation = np.std([2, 1, 0, 1], ddof=1)
    assert at_one.min() == pytest.approx(1 - deviation)
    assert at_one.max() == pytest.approx(1 + deviation)
    at_zero = vertices[vertices[:, 0] == 0][:, 1]
    assert set(at_zero) == {2}, "a single result has no spread"


def test_quantiles_are_those_of_the_results(dissection: Dissection) -> None:
    results = [
        replace(
            dissection, settings=replace(dissection.settings, quantile=quantile)
        )
        for quantile in (0.001, 0.005, 0.1)
    ]
    ax = plot_quantiles(results)
    assert curves(ax)["all"][0] == [0.001, 0.005, 0.1]
    assert ax.get_xscale() == "log"
    assert plot_quantiles(results[:2]).get_xscale() == "linear"


def test_one_quantile_is_the_only_tick(dissection: Dissection) -> None:
    ax = plot_quantiles([dissection], [0.005])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.005"]


def test_quantiles_of_files(file_report: LayerReport) -> None:
    with pytest.raises(BadInput, match="give quantiles"):
        plot_quantiles([file_report])
    ax = plot_quantiles([file_report, file_report], [0.01, 0.02])
    assert curves(ax)["all"][1] == [2, 2]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "expected a list with a result"),
        ("run", "expected a list with a result"),
        ([[]], "point 0 of the curve has no result"),
        ([None], "a result is of type NoneType"),
    ],
)
def test_what_are_no_results(results: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        plot_emergence(results, [0])


def test_another_number_of_positions(dissection: Dissection) -> None:
    with pytest.raises(BadInput, match="1 results and 2 snapshots"):
        plot_emergence([dissection], [0, 1])
    with pytest.raises(BadInput, match="1 results and 0 alphas"):
        plot_rotation([dissection], [])


def test_no_detectors(dissection: Dissection) -> None:
    ax = plot_emergence([at_limit(dissection, 0.5)], [0])
    assert [text.get_text() for text in ax.texts] == ["no detectors"]
