"""``nd report --by``: labels and order by other scores; IoU stays the definition of a detector."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nd_plugin import Dissection
from nd_plugin.results.run_folder import save_run


@pytest.fixture
def saved(dissection: Dissection, tmp_path: Path) -> Path:
    return save_run(tmp_path / "run", [dissection])


def layer_of(text: str) -> dict[str, Any]:
    (layer,) = json.loads(text)["layers"]
    assert isinstance(layer, dict)
    return layer


def test_labels_are_chosen_by_the_score(saved: Path, nd: Any) -> None:
    """Unit 1 has a recall of 30/90 with tail, and its mask is no larger than tail's part of it."""
    by_iou = layer_of(nd("report", saved, "--json").stdout)
    by_recall = layer_of(nd("report", saved, "--by", "recall", "--json").stdout)
    assert (by_iou["labelled_by"], by_recall["labelled_by"]) == ("iou", "recall")
    for unit in by_recall["unit_scores"]:
        others = by_iou["unit_scores"][unit["unit"]]
        assert unit["recall"] >= others["recall"]
        assert unit["detector"] == (unit["iou"] > 0.04)
    assert by_recall["unit_scores"][2]["recall"] == 60 / 200


@pytest.mark.parametrize("score", ["f1", "precision", "recall", "correlation"])
def test_it_is_said(saved: Path, nd: Any, score: str) -> None:
    done = nd("report", saved, "--by", score)
    assert done.returncode == 0, done.stderr
    assert f"! units are labelled and ordered by {score}; a detector" in done.stdout
    assert "F1" if score == "f1" else score in done.stdout
    assert nd("report", saved, "--by", "iou").stdout == nd("report", saved).stdout


def test_a_limit_of_the_score_defines_detectors(saved: Path, nd: Any) -> None:
    arguments = (
        "report",
        saved,
        "--by",
        "precision",
        "--min-score",
        "0.6",
        "--json",
    )
    layer = layer_of(nd(*arguments).stdout)
    detectors = [unit["unit"] for unit in layer["unit_scores"] if unit["detector"]]
    # precision of the labels: 0.5, 0.5, 0.75, 0, 0.2
    assert detectors == [2] and layer["detectors"] == 1
    assert "has precision > 0.6" in layer["notes"][0]


def test_pages_and_tables_are_ordered_by_it(
    saved: Path, tmp_path: Path, nd: Any
) -> None:
    page = tmp_path / "r.html"
    table = tmp_path / "r.csv"
    netdissect = tmp_path / "r.netdissect.csv"
    for path in (page, table, netdissect):
        done = nd("report", saved, "--by", "recall", "-o", path)
        assert done.returncode == 0, done.stderr
    assert "highest recall first" in page.read_text()
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    recall = [float(row["recall"]) for row in rows]
    order = [
        int(row["unit"]) - 1
        for row in csv.DictReader(io.StringIO(netdissect.read_text()))
    ]
    # 50/200, 30/90, 60/200, 0, 1/200
    assert (
        order == sorted(range(5), key=lambda unit: -recall[unit]) == [1, 2, 0, 4, 3]
    )


def test_runs_are_compared_by_it(
    saved: Path, dissection: Dissection, tmp_path: Path, nd: Any
) -> None:
    other = save_run(tmp_path / "other", [replace(dissection, layer="later")])
    done = nd("report", saved, other, "--by", "correlation", "--json")
    content = json.loads(done.stdout)
    assert [layer["labelled_by"] for layer in content["layers"]] == [
        "correlation"
    ] * 2


class TestRefused:
    def test_another_name(self, saved: Path, nd: Any) -> None:
        done = nd("report", saved, "--by", "dice")
        assert done.returncode == 2
        assert "no score 'dice' for --by; known are iou, precision" in done.stderr

    @pytest.mark.parametrize("value", ["1", "-1.5", "nan"])
    def test_a_limit_out_of_range(self, saved: Path, nd: Any, value: str) -> None:
        done = nd("report", saved, "--by", "recall", f"--min-score={value}")
        assert done.returncode == 2 and "is not between -1 and 1" in done.stderr

    def test_two_limits(self, saved: Path, nd: Any) -> None:
        limits = ("--min-iou", "0.1", "--min-score", "0.1")
        done = nd("report", saved, "--by", "recall", *limits)
        assert done.returncode == 2 and "give one of the two" in done.stderr

    def test_files_of_the_original_code(self, tmp_path: Path, nd: Any) -> None:
        file = tmp_path / "conv5.csv"
        head = "unit,category,label,score,object-label,object-iou"
        file.write_text(f"{head}\n1,object,dog,0.2,dog,0.2\n")
        done = nd("report", file, "--by", "f1")
        assert done.returncode == 2
        assert "--by and --min-score need the folder of a run" in done.stderr

    def test_the_correlation_of_an_older_run(
        self, dissection: Dissection, tmp_path: Path, nd: Any
    ) -> None:
        older = save_run(
            tmp_path / "run", [replace(dissection, category_pixels=None)]
        )
        done = nd("report", older, "--by", "correlation")
        assert done.returncode == 3
        assert "the run is of an earlier nd_plugin" in done.stderr
        layer = layer_of(nd("report", older, "--json").stdout)
        assert layer["unit_scores"][0]["correlation"] is None
