"""Best units of a concept by network, and the top concepts of each network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from published_files import LITE, write_summary, write_text

from nd_plugin import BadInput, Dissection, LayerReport
from nd_plugin.plots import plot_concept_units, plot_top_concepts
from nd_plugin.report.foreign_tables.recognition import read_foreign_result


@pytest.fixture
def lite(tmp_path: Path) -> LayerReport:
    return read_foreign_result(write_text(tmp_path / "lite.csv", LITE))[0]


def all_texts(ax: Axes) -> list[str]:
    inner = [text for child in ax.child_axes for text in child.texts]
    return [text.get_text() for text in (*ax.texts, *inner)]


def pictures(ax: Axes) -> int:
    """Count the strips of pictures."""
    rows = [
        grandchild for child in ax.child_axes for grandchild in child.child_axes
    ]
    return sum(len(row.images) for row in rows)


class TestConceptUnits:
    def test_two_units_of_each_network(
        self, pictured: Dissection, lite: LayerReport
    ) -> None:
        report = replace(pictured.report(), run="run")
        ax = plot_concept_units([report, lite], ("object", "cat"))
        texts = all_texts(ax)
        assert [text.partition(": ")[2] for text in texts] == [
            "unit 2, IoU 0.273",
            "unit 0, IoU 0.200",
            "unit 0, IoU 0.100",
            "unit 2, IoU 0.091",
        ]
        assert pictures(ax) == 2, "the table has none"
        assert ax.get_title() == "cat (object)"

    def test_a_unit_that_is_no_detector_is_said(
        self, dissection: Dissection
    ) -> None:
        ax = plot_concept_units([dissection], ("part", "ear"))
        (text,) = all_texts(ax)
        # 5 / (80 + 80 - 5)
        assert text.endswith("unit 2, IoU 0.032, no detector of it")

    def test_no_unit(self, dissection: Dissection) -> None:
        ax = plot_concept_units({"net": dissection}, ("object", "ufo"))
        assert all_texts(ax) == ["net: no unit"]

    def test_numbers_below_1(self, dissection: Dissection) -> None:
        with pytest.raises(BadInput, match="units is 0 and images 4"):
            plot_concept_units([dissection], ("object", "cat"), units=0)


class TestTopConcepts:
    def test_categories_of_most_detectors_first(
        self, dissection: Dissection, lite: LayerReport
    ) -> None:
        ax = plot_top_concepts({"run": dissection, "lite": lite})
        networks = [text for child in ax.child_axes for text in child.texts]
        assert [text.get_text() for text in networks] == ["run", "lite"]
        panels = [panel for child in ax.child_axes for panel in child.child_axes]
        labels = [
            [label.get_text() for label in panel.get_yticklabels()]
            for panel in panels
        ]
        assert labels == [["cat"], ["tail"], ["dog", "cat"]]
        titles = [panel.get_title(loc="left") for panel in panels]
        assert titles == ["object", "part", "object"]
        widths = [patch.get_width() for patch in panels[2].patches]  # type: ignore[attr-defined]
        assert widths == [0.25, 0.1]

    def test_a_run_with_pictures_shows_them(self, pictured: Dissection) -> None:
        ax = plot_top_concepts(pictured)
        (network,) = ax.child_axes
        texts = [
            text.get_text() for panel in network.child_axes for text in panel.texts
        ]
        assert texts == ["cat 0.27", "tail 0.25"]
        strips = [panel.child_axes for panel in network.child_axes]
        assert [len(strip) for strip in strips] == [1, 1]

    def test_a_network_without_detectors(self, dissection: Dissection) -> None:
        settings = replace(dissection.settings, min_iou=0.9)
        ax = plot_top_concepts([replace(dissection, settings=settings)])
        assert "no detectors" in all_texts(ax)

    def test_counts_alone_are_refused(self, tmp_path: Path) -> None:
        networks = read_foreign_result(write_summary(tmp_path / "s.mat"))
        with pytest.raises(
            BadInput, match="has no units with IoU, which this kind"
        ):
            plot_top_concepts(networks)
