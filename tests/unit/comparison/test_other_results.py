"""Counts without units, and labels without IoU, beside layers of runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folded import folded
from published_files import (
    CATEGORIES,
    DESCRIPTIONS,
    LITE,
    NETWORKS,
    write_summary,
    write_text,
)
from rich.console import Console

from nd_plugin import BadInput, Dissection, LayerComparison, compare_dissections
from nd_plugin.report.foreign_tables.recognition import read_foreign_result


def text_of(comparison: LayerComparison, width: int = 100) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(comparison)
    return capture.get()


def row_of(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return line.removeprefix(name).split()


@pytest.fixture
def counted(dissection: Dissection, tmp_path: Path) -> LayerComparison:
    """A run beside the authors' counts of two networks."""
    networks = read_foreign_result(write_summary(tmp_path / "s.mat"))[:2]
    runs = ["run", *(network.run for network in networks)]
    return compare_dissections([dissection, *networks], runs)


@pytest.fixture
def labelled(dissection: Dissection, tmp_path: Path) -> LayerComparison:
    """A run, a table of NetDissect-Lite, and labels without IoU."""
    (lite,) = read_foreign_result(write_text(tmp_path / "lite.csv", LITE))
    layers = read_foreign_result(write_text(tmp_path / "clip.csv", DESCRIPTIONS))
    return compare_dissections(
        [dissection, lite, layers[1]], ["run", "lite", "clip"]
    )


class TestCounts:
    def test_all_are_counted_per_category(self, counted: LayerComparison) -> None:
        text = text_of(counted)
        assert row_of(text, "unique detectors") == ["2", "?", "?"]
        assert row_of(text, "unique / units") == ["0.4000", "?", "?"]
        assert row_of(text, "detectors") == ["3", "9", "20"]
        assert row_of(text, "units") == ["5", "256", "256"]
        # the run's best part of units 0 and 2 is no detector: cat, and tail
        assert row_of(text, "counted per category") == ["2", "2", "9"]
        assert row_of(text, "per category / units") == [
            "0.4000",
            "0.0078",
            "0.0352",
        ]
        assert row_of(text, "texture") == [
            "-",
            "2",
            "(9",
            "units)",
            "2",
            "(10",
            "units)",
        ]
        assert "as in the authors' plots, for all layers" in " ".join(text.split())

    def test_concepts_are_not_compared(self, counted: LayerComparison) -> None:
        assert not counted.has_several_of_units
        assert "only" not in text_of(counted).split()
        assert [concept.concept for concept in counted.concepts] == ["cat", "tail"]

    def test_json_says_what_is_not_known(self, counted: LayerComparison) -> None:
        content = json.loads(counted.to_json())["comparison"]
        run, random, _ = content["layers"]
        assert run["recorded"] == "units" and run["unique_detectors"] == 2
        assert run["per_category"]["unique"] == {"object": 1, "part": 1}
        assert random["recorded"] == "counts"
        assert random["unique_detectors"] is None and random["unique_ratio"] is None
        assert random["unique_detectors_by_category"] is None
        assert random["unique_detectors_per_category"] == 2
        assert random["per_category"]["units"]["texture"] == 9
        assert random["per_category_ratio"] == 2 / 256
        (row,) = [row for row in content["concepts"] if row["concept"] == "cat"]
        match = row["layers"][counted.names[1]]
        assert match["is_known"] is False
        assert match["reason"] == "counts without units"

    def test_a_notebook_shows_them(self, counted: LayerComparison) -> None:
        page = counted._repr_html_()
        for name in counted.names:
            assert name in page
        assert "counted per category" in page

    def test_pages_need_units(
        self, counted: LayerComparison, tmp_path: Path
    ) -> None:
        with pytest.raises(BadInput, match=r"net_random.* has no units with IoU"):
            counted.to_html(tmp_path / "pages")
        assert not (tmp_path / "pages").exists()

    def test_it_names_itself(self, counted: LayerComparison) -> None:
        assert "9 unique detectors counted per category among 256 units" in repr(
            counted
        )


class TestManyLayers:
    @pytest.fixture
    def many(self, tmp_path: Path) -> LayerComparison:
        networks = read_foreign_result(write_summary(tmp_path / "s.mat"))
        named = [
            replace(network, run=f"{network.run}-{copy}")
            for copy in range(3)
            for network in networks
        ]
        return compare_dissections(named)

    def test_stand_below_each_other(self, many: LayerComparison) -> None:
        text = text_of(many)
        header = text.splitlines()[1].split()
        assert header == ["units", "unique", "ratio", *CATEGORIES]
        row = row_of(text, f"{NETWORKS[0]}-0 conv5")
        assert row == ["256", "2", "of", "9", "0.008", *"000020"]

    def test_are_paragraphs_in_a_narrow_terminal(
        self, many: LayerComparison
    ) -> None:
        text = text_of(many, width=40)
        assert max(map(len, text.splitlines())) <= 40
        assert "net_wide-2 res5c: units 512, unique 12 of 40" in " ".join(
            text.split()
        )


class TestLabels:
    def test_have_no_detectors(self, labelled: LayerComparison) -> None:
        text = text_of(labelled)
        assert row_of(text, "unique detectors") == ["2", "2", "?"]
        assert row_of(text, "distinct labels") == ["?", "?", "3"]
        assert "labels are compared by name alone, without category" in " ".join(
            text.split()
        )
        # concepts of the run and of the table alone
        assert row_of(text, "only run") and row_of(text, "all")
        assert "only clip" not in text

    def test_are_compared_by_name(self, labelled: LayerComparison) -> None:
        run, lite = labelled.name_overlaps
        assert (run.first, run.names) == ("run block.1/relu", ())
        assert (lite.first, lite.names) == ("lite", ("dog",))
        assert (lite.first_labels, lite.second_labels) == (2, 3)
        text = text_of(labelled)
        assert "by name in lite and clip layer2 (1): dog" in text
        assert "1 pair has no label in common by name" in text
        by_name = labelled.to_dict()["by_name"]
        assert by_name[1] == {
            "layers": ["lite", "clip layer2"],
            "names": ["dog"],
            "labels": [2, 3],
        }

    def test_of_many_layers_are_summed_up(self, tmp_path: Path) -> None:
        head = "layer,unit,description\n"
        rows = [f"layer{number},0,thing {number % 5}" for number in range(12)]
        table = head + "\n".join([*rows, "layer12,0,alone"])
        layers = read_foreign_result(write_text(tmp_path / "clip.csv", table))
        text = text_of(compare_dissections(layers))
        header = text.splitlines()[1].split()
        assert header == ["units", "unique", "ratio", "labels"]
        assert row_of(text, "layer12") == ["1", "?", "?", "1"]
        # of 12 layers two names are in three each, three in two each: 9 pairs of 78
        lines = [
            line for line in text.splitlines() if line.startswith("by name in")
        ]
        assert len(lines) == 9
        assert "69 pairs have no label in common by name" in text

    def test_brodens_endings_do_not_count(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        table = LITE.replace("object,dog,0.25", "object,dog,0.25").replace(
            "object,cat,0.1,cat", "object,pool_room-s,0.1,pool_room-s"
        )
        scene = table.replace("object", "scene")
        (lite,) = read_foreign_result(write_text(tmp_path / "scenes.csv", scene))
        text = "layer,unit,description\nconv1,0,Pool room\n"
        (labels,) = read_foreign_result(write_text(tmp_path / "milan.csv", text))
        (overlap,) = compare_dissections([lite, labels]).name_overlaps
        assert overlap.names == ("pool room",)

    def test_no_limit_of_iou_differs(self, labelled: LayerComparison) -> None:
        assert labelled.differences == ()

    def test_a_concept_of_all_that_can_have_it(
        self, labelled: LayerComparison
    ) -> None:
        assert [concept.concept for concept in labelled.shared()] == ["cat"]
        assert [concept.concept for concept in labelled.only_in(1)] == ["dog"]


class TestNotesAndIntervals:
    def test_notes_of_files_are_said_once(self, labelled: LayerComparison) -> None:
        notes = labelled.file_notes
        assert [note.partition(":")[0] for note in notes] == ["lite", "lite"]
        assert "it is left out" in notes[1]
        text = " ".join(text_of(labelled).split())
        assert "! lite: a concept without a name, Broden's label 0" in text
        assert labelled.to_dict()["notes"] == list(notes)

    def test_counts_of_runs_with_folds_have_intervals(
        self, dissection: Dissection
    ) -> None:
        steady = np.full((10, 4), 200)
        steady[:, 3] = 10
        first = folded(dissection, steady)
        shaky = steady.copy()
        shaky[:5, 0] = 0
        second = folded(dissection, shaky)
        comparison = compare_dissections([first, second], ["a", "b"])
        text = text_of(comparison)
        assert row_of(text, "unique detectors")[:2] == ["3", "(3-3)"]
        assert "intervals at 95 %, over 10 folds of the images" in text
        content = comparison.to_dict()["layers"]
        assert content[0]["intervals"]["unique_detectors"] == [3.0, 3.0]
