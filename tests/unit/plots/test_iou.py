"""Distribution of IoU, and mean IoU against the number of detectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.patches import StepPatch

from nd_plugin import BadInput, Dissection
from nd_plugin.plots import plot_iou, plot_mean_iou
from nd_plugin.plots.iou import detected_concepts
from nd_plugin.report.colours import OF_CATEGORY


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


class TestDistribution:
    def test_every_unit_is_counted_once(self, dissection: Dissection) -> None:
        ax = plot_iou(dissection)
        counted = {
            to_hex(container[0].get_facecolor()): sum(
                patch.get_height() for patch in container
            )
            for container in ax.containers  # type: ignore[attr-defined]
        }
        # labels: cat, tail, cat, cat of a dead unit (IoU 0), cat
        assert counted == {OF_CATEGORY["object"]: 4, OF_CATEGORY["part"]: 1}

    def test_bars_stand_where_the_iou_is(self, dissection: Dissection) -> None:
        ax = plot_iou(dissection)
        occupied = [
            (patch.get_x(), patch.get_x() + patch.get_width())
            for patch in ax.patches
            if patch.get_height() > 0  # type: ignore[attr-defined]
        ]
        values = [score.iou for score in dissection.unit_scores()]
        for iou in values:
            # the highest lies on the last edge, which rounding may put beside it
            assert any(
                low - 1e-12 <= iou <= high + 1e-12 for low, high in occupied
            ), iou

    def test_the_limit_is_marked(self, dissection: Dissection) -> None:
        ax = plot_iou(dissection)
        (line,) = ax.lines
        assert list(line.get_xdata()) == [0.04, 0.04]
        assert texts(ax) == ["detectors: IoU > 0.04"]

    def test_the_chance_level_is_marked(self, dissection: Dissection) -> None:
        ax = plot_iou(dissection, chance=0.0123)
        assert [line.get_xdata()[0] for line in ax.lines] == [0.04, 0.0123]
        assert texts(ax) == ["detectors: IoU > 0.04", "chance: 0.0123"]
        with pytest.raises(
            BadInput, match=r"chance is 2; an IoU is between 0 and 1"
        ):
            plot_iou(dissection, chance=2)

    def test_several_are_shares_of_their_units(
        self, dissection: Dissection, later: Dissection
    ) -> None:
        ax = plot_iou([dissection, later])
        outlines = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
        for outline in outlines:
            assert float(np.sum(outline.get_data().values)) == pytest.approx(1)
        styles = {outline.get_linestyle() for outline in outlines}
        assert len(outlines) == len(styles) == 2, "told apart without colours"
        assert ax.get_ylabel() == "share of units"

    def test_different_limits(self, dissection: Dissection) -> None:
        other = replace(
            dissection, settings=replace(dissection.settings, min_iou=0.1)
        )
        ax = plot_iou([dissection, other])
        assert texts(ax) == ["detectors: IoU > 0.04", "detectors: IoU > 0.1"]


class TestMeanIoU:
    def test_of_each_concept(self, dissection: Dissection) -> None:
        cat, tail = detected_concepts(dissection.report())
        assert (cat.name, cat.category, cat.detectors) == ("cat", "object", 2)
        assert cat.mean_iou == pytest.approx((50 / 250 + 60 / 220) / 2)
        assert (tail.name, tail.detectors) == ("tail", 1)
        assert tail.mean_iou == pytest.approx(30 / 120)

    def test_points(self, dissection: Dissection, later: Dissection) -> None:
        ax = plot_mean_iou({"first": dissection, "later": later})
        first, second = [
            item for item in ax.collections if isinstance(item, PathCollection)
        ]
        assert np.asarray(first.get_offsets())[:, 0].tolist() == [2, 1]
        colours = [to_hex(colour) for colour in first.get_facecolors()]
        assert colours == [OF_CATEGORY["object"], OF_CATEGORY["part"]]
        paths = [item.get_paths()[0].vertices.shape for item in (first, second)]
        assert paths[0] != paths[1], "markers differ"
        assert {"cat", "ear"} <= set(texts(ax)), "named"

    def test_no_detectors(self, dissection: Dissection) -> None:
        nothing = replace(dissection, intersection=dissection.intersection * 0)
        assert texts(plot_mean_iou(nothing)) == ["no detectors"]
