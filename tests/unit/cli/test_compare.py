"""``nd compare``: terminal, JSON, files, plots, and the exit codes of its gate."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from folded import folded
from PIL import Image
from published_files import DESCRIPTIONS, LITE, write_summary, write_text

from nd_plugin import Dissection
from nd_plugin.results.run_folder import save_run


@pytest.fixture
def runs(pictured: Dissection, tmp_path: Path) -> tuple[Path, Path]:
    """Run of one layer, and one of which the first unit is no detector."""
    intersection = pictured.intersection.copy()
    intersection[[0, 2], 0] = 1
    worse = replace(pictured, intersection=intersection, stored_pictures=None)
    return (
        save_run(tmp_path / "base", [pictured]),
        save_run(tmp_path / "worse", [worse]),
    )


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    return write_summary(tmp_path / "networks.mat")


class TestOutput:
    def test_two_runs_side_by_side(self, runs: tuple[Path, Path], nd: Any) -> None:
        done = nd("compare", *runs)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[0].startswith("side by side ──")
        counts = {line[:16].strip(): line[16:].split() for line in lines}
        assert lines[1].split() == ["base", "worse"]
        assert counts["unique detectors"] == ["2", "2"]
        assert counts["detectors"] == ["3", "2"]

    def test_a_summary_has_a_row_for_each_network(
        self, summary: Path, runs: tuple[Path, Path], nd: Any
    ) -> None:
        done = nd("compare", f"{summary}:net_random,net_places", runs[0])
        assert done.returncode == 0, done.stderr
        assert "net_random conv5" in done.stdout
        assert "counted as in the authors' plots" in " ".join(done.stdout.split())

    def test_every_width_shows_every_number(self, summary: Path, nd: Any) -> None:
        for columns in ("30", "200"):
            done = nd("compare", summary, COLUMNS=columns)
            lines = done.stdout.splitlines()
            assert max(map(len, lines)) <= int(columns)
            words = done.stdout.replace(",", " ").split()
            assert {"0.0078", "256", "512", "12"} <= set(words), columns

    def test_json_is_one_document(
        self, runs: tuple[Path, Path], summary: Path, tmp_path: Path, nd: Any
    ) -> None:
        clip = write_text(tmp_path / "clip.csv", DESCRIPTIONS)
        done = nd(
            "compare",
            *runs,
            summary,
            f"{clip}:layer1",
            "--json",
            "--concept",
            "cat",
        )
        assert done.returncode == 0, done.stderr
        content = json.loads(done.stdout)
        assert set(content) == {"schema", "comparison", "best_detectors"}
        comparison = content["comparison"]
        assert set(comparison) == {
            "layers",
            "concepts",
            "differences",
            "warnings",
            "by_name",
            "notes",
        }
        recorded = [layer["recorded"] for layer in comparison["layers"]]
        assert recorded == ["units"] * 2 + ["counts"] * 3 + ["labels"]
        (cat,) = content["best_detectors"]
        assert cat["concept"] == "cat" and len(cat["layers"]) == 6

    def test_a_concept_is_shown_below(
        self, runs: tuple[Path, Path], nd: Any
    ) -> None:
        done = nd("compare", *runs, "--concept", "cat", "--concept", "ear")
        assert "cat (object) ──" in done.stdout and "ear (part) ──" in done.stdout
        done = nd("compare", *runs, "--concept", "ufo")
        assert done.returncode == 2
        assert "no concept 'ufo' among the 4 of the results" in done.stderr


class TestFiles:
    def test_a_folder_has_json_and_tables(
        self, runs: tuple[Path, Path], tmp_path: Path, nd: Any
    ) -> None:
        folder = tmp_path / "saved"
        assert nd("compare", *runs, "-o", folder).returncode == 0
        names = {"comparison.json", "layers.csv", "concepts.csv"}
        assert {path.name for path in folder.iterdir()} == names
        content = json.loads((folder / "comparison.json").read_text())
        assert len(content["comparison"]["layers"]) == 2
        table = (folder / "layers.csv").read_text()
        rows = list(csv.DictReader(table.splitlines()))
        assert [row["run"] for row in rows] == ["base", "worse"]
        again = nd("compare", *runs, "-o", folder)
        assert (
            again.returncode == 2 and "replace it with --overwrite" in again.stderr
        )
        assert nd("compare", *runs, "-o", folder, "--overwrite").returncode == 0

    def test_single_files(
        self, runs: tuple[Path, Path], tmp_path: Path, nd: Any
    ) -> None:
        table, document = tmp_path / "t.csv", tmp_path / "t.json"
        printed = nd("compare", *runs, "--json", "-o", document).stdout
        assert document.read_text().rstrip() == printed.rstrip()
        assert nd("compare", *runs, "-o", table).returncode == 0
        assert table.read_text().startswith("name,run,layer,recorded,units,")

    def test_what_cannot_be_saved_to_is_refused_first(
        self, runs: tuple[Path, Path], tmp_path: Path, nd: Any
    ) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").write_text("x")
        for target, message in {
            "mine": "mine holds thesis.tex; choose another folder, or it is kept",
            "out.xml": ".xml is none of these",
        }.items():
            done = nd("compare", *runs, "-o", tmp_path / target, "--overwrite")
            assert done.returncode == 2 and message in done.stderr
            assert done.stdout == ""
        assert (tmp_path / "mine" / "thesis.tex").exists()


class TestPlots:
    @pytest.mark.parametrize(
        "kind", ["networks", "shares", "widths", "detectors", "ratio"]
    )
    def test_of_counts(
        self, summary: Path, tmp_path: Path, nd: Any, kind: str
    ) -> None:
        path = tmp_path / "figure.png"
        done = nd("compare", summary, "--plot", path, "--plot-kind", kind)
        assert done.returncode == 0, done.stderr
        with Image.open(path) as picture:
            assert min(picture.size) > 300

    @pytest.mark.parametrize(
        "kind", ["top-concepts", "mean-iou", "heat-map", "iou"]
    )
    def test_of_units_refuse_counts(
        self,
        summary: Path,
        runs: tuple[Path, Path],
        tmp_path: Path,
        nd: Any,
        kind: str,
    ) -> None:
        path = tmp_path / "figure.svg"
        assert (
            nd("compare", *runs, "--plot", path, "--plot-kind", kind).returncode
            == 0
        )
        assert path.exists()
        done = nd("compare", summary, "--plot", path, "--plot-kind", kind)
        assert done.returncode == 2
        assert "has no units with IoU, which this kind of plot shows" in done.stderr

    def test_of_labels_are_refused(self, tmp_path: Path, nd: Any) -> None:
        clip = write_text(tmp_path / "clip.csv", DESCRIPTIONS)
        done = nd("compare", clip, "--plot", tmp_path / "figure.png")
        assert done.returncode == 2
        assert (
            "has labels without IoU, and no detectors that could be" in done.stderr
        )

    def test_of_a_concept(
        self, runs: tuple[Path, Path], tmp_path: Path, nd: Any
    ) -> None:
        path = tmp_path / "figure.png"
        done = nd("compare", *runs, "--concept", "cat", "--plot", path)
        assert done.returncode == 0, done.stderr
        assert path.exists()
        done = nd(
            "compare", *runs, "--concept", "cat", "--concept", "ear", "--plot", path
        )
        assert done.returncode == 2 and "draw them one at a time" in done.stderr


class TestGate:
    def test_passes_with_0_and_fails_with_1(
        self, pictured: Dissection, runs: tuple[Path, Path], tmp_path: Path, nd: Any
    ) -> None:
        base, worse = runs
        passed = nd("compare", base, worse, "--fail-under", "0.95")
        assert passed.returncode == 0
        assert (
            "2 of 2 unique detectors (1), passes --fail-under 0.95" in passed.stderr
        )
        assert "the plain ratio decides" in passed.stderr
        intersection = np.zeros_like(pictured.intersection)
        intersection[0, 0] = 50
        few = replace(pictured, intersection=intersection, stored_pictures=None)
        bad = save_run(tmp_path / "bad", [few])
        failed = nd("compare", base, bad, "--fail-under", "0.95")
        assert failed.returncode == 1
        assert (
            "bad has 1 unique detectors in block.1/relu, and base 2: 0.5, less than "
            "--fail-under 0.95" in failed.stderr
        )
        assert "side by side" in failed.stdout, (
            "the comparison is shown all the same"
        )

    def test_a_loss_within_the_interval_passes(
        self, dissection: Dissection, tmp_path: Path, nd: Any
    ) -> None:
        steady = np.full((10, 20), 120)
        shaky = steady.copy()
        shaky[:, 18:] = 10
        shaky[:, :10] = 0
        shaky[:6, :10] = 135
        base = save_run(tmp_path / "base", [folded(dissection, steady)])
        new = save_run(tmp_path / "new", [folded(dissection, shaky)])
        done = nd("compare", base, new, "--fail-under", "0.95")
        assert done.returncode == 0, done.stderr
        assert "0.9 is less than 0.95, and within the interval" in done.stderr
        steady_loss = steady.copy()
        steady_loss[:, 15:] = 10
        lost = save_run(tmp_path / "lost", [folded(dissection, steady_loss)])
        assert nd("compare", base, lost, "--fail-under", "0.95").returncode == 1

    def test_junit_and_json_are_written_before_it_fails(
        self, summary: Path, tmp_path: Path, nd: Any
    ) -> None:
        junit = tmp_path / "deep" / "gate.xml"
        results = [f"{summary}:net_wide", f"{summary}:net_random"]
        done = nd(
            "compare", *results, "--fail-under", "0.5", "--junit", junit, "--json"
        )
        assert done.returncode == 1
        content = json.loads(done.stdout)
        assert set(content) == {"schema", "comparison", "gate", "error"}
        assert content["error"]["exit_code"] == 1
        assert content["gate"]["passed"] is False
        assert [case["new_count"] for case in content["gate"]["cases"]] == [2]
        (case,) = ElementTree.parse(junit).getroot().iter("testcase")
        assert case.get("classname") == "net_random"
        failure = case.find("failure")
        assert failure is not None and "0.1667, less than" in str(
            failure.get("message")
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--junit", "gate.xml"], "with --fail-under SHARE alone"),
            (["--fail-under", "1.5"], "less than or equal to 1"),
            (["--plot-kind", "shares"], "needs a file to draw into"),
            (["--plot", "figure.gif"], "ends in .gif"),
            (["--plot", "f.png", "--plot-kind", "pie"], "no kind of plot 'pie'"),
            (["--min-iou", "2"], "min_iou"),
        ],
    )
    def test_options_that_make_no_sense(
        self, runs: tuple[Path, Path], nd: Any, options: list[str], message: str
    ) -> None:
        done = nd("compare", *runs, *options)
        assert done.returncode == 2
        assert message in done.stderr


class TestErrors:
    def test_a_single_layer_is_no_comparison(
        self, runs: tuple[Path, Path], nd: Any
    ) -> None:
        done = nd("compare", runs[0])
        assert done.returncode == 2
        assert "needs 2 layers or more, and got 1" in done.stderr

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x00\x01\x02\x03",
            b"unit,label\n1,cat\n",
            LITE.replace("0.25", "nan").encode(),
            LITE.replace("\n3,", "\n2,").encode(),
            DESCRIPTIONS.replace("layer2,0", "layer1,0").encode(),
            b"MATLAB 5.0 MAT-file" + bytes(200),
        ],
    )
    def test_damaged_files_are_named(
        self, runs: tuple[Path, Path], tmp_path: Path, nd: Any, content: bytes
    ) -> None:
        path = tmp_path / "table.csv"
        path.write_bytes(content)
        done = nd("compare", runs[0], path)
        assert done.returncode == 2
        assert str(path) in done.stderr and "Traceback" not in done.stderr
