"""Best units of a concept in each result, and the tables of a comparison."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from published_files import DESCRIPTIONS, LITE, write_summary, write_text
from rich.console import Console

from nd_plugin import BadInput, Dissection, LayerComparison
from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.experiments.comparing.best_detectors import find_best_detectors
from nd_plugin.experiments.comparing.results import read_results
from nd_plugin.experiments.comparing.tables import concepts_csv, layers_csv


@pytest.fixture
def comparison(dissection: Dissection, tmp_path: Path) -> LayerComparison:
    lite = write_text(tmp_path / "lite.csv", LITE)
    clip = write_text(tmp_path / "clip.csv", DESCRIPTIONS)
    summary = write_summary(tmp_path / "s.mat")
    results = read_results([str(lite), f"{clip}:layer2", f"{summary}:net_places"])
    run = ComparedLayer(replace(dissection.report(), run="run"))
    return LayerComparison(
        [run, *(layer for result in results for layer in result)]
    )


def text_of(comparison: LayerComparison, name: str, width: int = 100) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        for best in find_best_detectors(comparison, name):
            console.print(best)
    return capture.get()


class TestBestDetectors:
    def test_every_layer_says_what_it_can(
        self, comparison: LayerComparison
    ) -> None:
        (best,) = find_best_detectors(comparison, "DOG")
        rows = best.to_dict()["layers"]
        assert best.to_dict()["category"] == "object"
        run, lite, clip, summary = (rows[name] for name in comparison.names)
        # 10 / (80 + 100 - 10): no unit of the run is a detector of dog
        assert run["detectors"] == [] and run["nearest"]["unit"] == 2
        assert lite["detectors"] == [{"unit": 1, "iou": 0.25}]
        assert lite["mean_iou"] == 0.25
        assert clip["labelled"] == [0] and not clip["is_known"]
        assert summary["reason"] == "counts without units"

    def test_the_terminal_has_two_units_and_the_mean(
        self, comparison: LayerComparison
    ) -> None:
        lines = text_of(comparison, "cat").splitlines()
        assert lines[0].startswith("cat (object) ──")
        # 60 / 220, 50 / 250, and one of 1 / 204 that is no detector
        (run,) = [line for line in lines if line.startswith("run ")]
        assert run.split()[-6:] == ["2:", "0.2727,", "0:", "0.2000", "2", "0.2364"]
        (lite,) = [line for line in lines if line.startswith("lite")]
        assert lite.split()[1:] == ["0:", "0.1000,", "2:", "0.0909", "2", "0.0955"]
        (clip,) = [line for line in lines if line.startswith("clip")]
        assert "no label of this name" in clip

    def test_a_narrow_terminal_has_paragraphs(
        self, comparison: LayerComparison
    ) -> None:
        text = text_of(comparison, "cat", width=40)
        assert max(map(len, text.splitlines())) <= 40
        assert "2: 0.2727" in " ".join(text.split())

    def test_a_label_that_no_concept_set_has(
        self, comparison: LayerComparison
    ) -> None:
        (best,) = find_best_detectors(comparison, "highway")
        assert best.to_dict()["layers"]["clip layer2"]["labelled"] == [2]

    def test_an_unknown_name(self, comparison: LayerComparison) -> None:
        with pytest.raises(
            BadInput,
            match="no concept 'cots' among the 5 of the results; the nearest",
        ):
            find_best_detectors(comparison, "cots")

    def test_counts_alone_name_no_concept(self, tmp_path: Path) -> None:
        (layers,) = read_results([str(write_summary(tmp_path / "s.mat"))])
        with pytest.raises(BadInput, match="the results have counts without units"):
            find_best_detectors(LayerComparison(layers), "cat")


class TestTables:
    def test_a_line_for_each_layer(self, comparison: LayerComparison) -> None:
        rows = list(csv.DictReader(io.StringIO(layers_csv(comparison))))
        assert [row["recorded"] for row in rows] == [
            "units",
            "units",
            "labels",
            "counts",
        ]
        run, lite, clip, summary = rows
        assert (run["unique_detectors"], run["units"]) == ("2", "5")
        assert float(run["unique_ratio"]) == pytest.approx(0.4)
        assert run["unique_low"] == "", "the run has no folds"
        assert (lite["unique_object"], lite["per_category_texture"]) == ("2", "0")
        assert (clip["unique_detectors"], clip["distinct_labels"]) == ("", "3")
        assert summary["unique_detectors"] == ""
        assert summary["unique_detectors_per_category"] == "9"
        assert [
            summary[f"per_category_{name}"] for name in ("object", "color")
        ] == [
            "4",
            "1",
        ]
        assert summary["unique_object"] == ""

    def test_a_line_for_each_concept_of_layers_with_units(
        self, comparison: LayerComparison
    ) -> None:
        rows = list(csv.DictReader(io.StringIO(concepts_csv(comparison))))
        cells = {(row["concept"], row["name"]): row for row in rows}
        names = [name for _, name in cells]
        assert set(names) == {"run block.1/relu", "lite"}
        cat = cells["cat", "run block.1/relu"]
        assert (cat["detectors"], cat["best_unit"]) == ("2", "2")
        assert float(cat["mean_iou"]) == pytest.approx((60 / 220 + 50 / 250) / 2)
        tail = cells["tail", "lite"]
        assert (tail["detectors"], tail["best_unit"]) == ("0", "")
