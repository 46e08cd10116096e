"""Options of ``nd report``: formats by a file's ending, another limit for detectors, units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nd_plugin import Dissection
from nd_plugin.report.netdissect_csv import read_netdissect_csv
from nd_plugin.results.run_folder import save_run

HEAD = "unit,category,label,score,object-label,object-iou"


@pytest.fixture
def saved(dissection: Dissection, tmp_path: Path) -> Path:
    return save_run(tmp_path / "run", [dissection])


def layer_of(text: str) -> dict[str, Any]:
    (layer,) = json.loads(text)["layers"]
    assert isinstance(layer, dict)
    return layer


class TestEndings:
    @pytest.mark.parametrize(
        "name", ["x.png", "x.PNG", "x.jpeg", "x.pdf", "x.md", "run.2", "x.csv.gz"]
    )
    def test_an_ending_that_nobody_claims_is_refused(
        self, saved: Path, tmp_path: Path, name: str, nd: Any
    ) -> None:
        done = nd("report", saved, "-o", tmp_path / name)
        ending = Path(name).suffix
        assert done.returncode == 2 and done.stdout == ""
        assert f"no report format for files that end in {ending!r}" in done.stderr
        assert (
            ".csv, .htm, .html, .json, .netdissect.csv, .quantiles.csv, .svg"
            in done.stderr
        )
        assert "choose one with --format" in done.stderr
        assert not (tmp_path / name).exists()

    @pytest.mark.parametrize(
        ("name", "start"), [("r.csv", "layer,unit,"), ("r.html", "<!doctype html>")]
    )
    def test_json_on_stdout_leaves_a_file_its_format(
        self, saved: Path, tmp_path: Path, name: str, start: str, nd: Any
    ) -> None:
        done = nd("report", saved, "--json", "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_text().startswith(start)
        assert done.stdout == nd("report", saved, "--json").stdout

    @pytest.mark.parametrize("name", ["r.json", "r"])
    def test_json_in_a_file_is_on_stdout_too(
        self, saved: Path, tmp_path: Path, name: str, nd: Any
    ) -> None:
        done = nd("report", saved, "--json", "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_text().rstrip() == done.stdout.rstrip()

    def test_json_beside_a_page(self, saved: Path, tmp_path: Path, nd: Any) -> None:
        done = nd("report", saved, "--json", "--html", tmp_path / "r.html")
        assert layer_of(done.stdout)
        assert (tmp_path / "r.html").is_file()

    def test_json_does_not_lift_the_refusal_of_an_ending(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        done = nd("report", saved, "--json", "-o", tmp_path / "x.png")
        assert done.returncode == 2 and not (tmp_path / "x.png").exists()
        assert "'.png'" in json.loads(done.stdout)["error"]["message"]

    def test_a_folder_of_runs_names_them(self, saved: Path, nd: Any) -> None:
        done = nd("report", saved.parent)
        assert done.returncode == 2
        assert f"runs in it are {saved}" in done.stderr

    def test_it_is_refused_before_the_run_is_read(
        self, tmp_path: Path, nd: Any
    ) -> None:
        done = nd("report", tmp_path / "none", "-o", tmp_path / "x.png")
        assert "no report format for files that end in '.png'" in done.stderr

    @pytest.mark.parametrize(
        ("name", "start"),
        [
            ("r.html", "<!doctype html>"),
            ("r.HTM", "<!doctype html>"),
            ("r.svg", "<svg"),
            ("r.csv", "layer,unit,"),
            ("r.json", '{\n "schema": 1,'),
            ("r.txt", "block.1/relu ──"),
            ("r", "block.1/relu ──"),
            ("layer4.netdissect.csv", "unit,category,label,score,object-label"),
        ],
    )
    def test_an_ending_says_the_format(
        self, saved: Path, tmp_path: Path, name: str, start: str, nd: Any
    ) -> None:
        done = nd("report", saved, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)

    def test_format_says_it_whatever_the_ending(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        path = tmp_path / "report.v2"
        assert nd("report", saved, "--format", "csv", "-o", path).returncode == 0
        assert path.read_text().startswith("layer,unit,")

    def test_html_writes_pages_only(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        for name in ("x.png", "x.csv", "x.pdf"):
            done = nd("report", saved, "--html", tmp_path / name)
            assert done.returncode == 2
            assert "one file that ends in .html, and x." in done.stderr
            assert not (tmp_path / name).exists()
        done = nd("explain", saved, "model", "image.png", "--html", "x.png")
        assert done.returncode == 2 and "ends in .png" in done.stderr


class TestPages:
    def test_a_folder_with_a_point_in_its_name(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        assert nd("report", saved, "--html", tmp_path / "v1.2").returncode == 0
        assert (tmp_path / "v1.2" / "index.html").is_file()

    def test_an_earlier_report_is_replaced(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        folder = tmp_path / "report"
        nd("report", saved, "--html", folder)
        left_over = folder / "data" / "layer-7-units-3.js"
        left_over.write_text("of an earlier run")
        assert nd("report", saved, "--html", folder).returncode == 0
        assert not left_over.exists()

    @pytest.mark.parametrize(
        "name", ["notes.txt", "data/mine.csv", "images/cat.jpg", "other/x"]
    )
    def test_a_folder_of_other_things_is_left_alone(
        self, saved: Path, tmp_path: Path, name: str, nd: Any
    ) -> None:
        folder = tmp_path / "report"
        nd("report", saved, "--html", folder)
        foreign = folder / name
        foreign.parent.mkdir(exist_ok=True)
        foreign.write_text("mine")
        done = nd("report", saved, "--html", folder)
        assert done.returncode == 2
        assert "holds other things than a report" in done.stderr
        assert foreign.read_text() == "mine"

    def test_a_site_of_somebody_else_is_left_alone(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        (tmp_path / "index.html").write_text("<!doctype html><title>mine</title>")
        assert nd("report", saved, "--html", tmp_path).returncode == 2
        assert "mine" in (tmp_path / "index.html").read_text()

    def test_the_run_itself_is_not_replaced(self, saved: Path, nd: Any) -> None:
        assert nd("report", saved, "--html", saved).returncode == 2
        assert Dissection.load(saved).layer

    def test_the_current_folder_is_not_replaced(
        self,
        saved: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        nd: Any,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = nd("report", saved, "--html", ".")
        assert done.returncode == 2
        assert "current folder" in done.stderr

    def test_a_file_is_not_replaced_by_a_folder(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        (tmp_path / "report").write_text("mine")
        done = nd("report", saved, "--html", tmp_path / "report")
        assert done.returncode == 2
        assert "is a file" in done.stderr

    def test_a_folder_is_not_replaced_by_a_file(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        (tmp_path / "r.html").mkdir()
        done = nd("report", saved, "--html", tmp_path / "r.html")
        assert done.returncode == 2
        assert "is a folder" in done.stderr

    def test_a_csv_file_has_pages_too(
        self, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        csv = tmp_path / "layer4.netdissect.csv"
        nd("report", saved, "-o", csv)
        done = nd("report", csv, "--html", tmp_path / "pages")
        assert done.returncode == 0, done.stderr
        page = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
        assert "has no pictures of its top images" in page
        assert "unit 0 is the file&#39;s unit 1" in page


class TestMinIoU:
    def test_detectors_of_a_run_are_counted_again(
        self, saved: Path, nd: Any
    ) -> None:
        # IoU of the labels: 0.2 (cat), 0.25 (tail), 0.273 (cat), 0, 0.005 (cat).
        for min_iou, detectors, unique in [
            ("0", 4, 2),
            ("0.04", 3, 2),
            ("0.2", 2, 2),
            ("0.25", 1, 1),
            ("0.26", 1, 1),
            ("0.9", 0, 0),
        ]:
            layer = layer_of(
                nd("report", saved, "--json", "--min-iou", min_iou).stdout
            )
            counts = (layer["detectors"], layer["unique_detectors"])
            assert counts == (detectors, unique), min_iou
            assert layer["min_iou"] == float(min_iou)
            shown = [score["detector"] for score in layer["unit_scores"]]
            assert sum(shown) == detectors

    def test_what_was_counted_is_said(self, saved: Path, nd: Any) -> None:
        note = "detectors are counted at IoU > 0.26; the run's own is 0.04"
        done = nd("report", saved, "--min-iou", "0.26")
        assert f"! {note}" in done.stdout
        assert "quantile 0.005, IoU > 0.26, receptive fields" in done.stdout
        assert "1 unique detector · 1 detector among 5 units" in done.stdout
        layer = layer_of(nd("report", saved, "--min-iou", "0.26", "--json").stdout)
        assert layer["notes"][0] == note
        assert layer["unique_detectors_per_category"] == 1

    def test_the_runs_own_value_changes_nothing(self, saved: Path, nd: Any) -> None:
        own = nd("report", saved).stdout
        assert nd("report", saved, "--min-iou", "0.04").stdout == own

    def test_the_run_itself_is_left_as_it_is(
        self, saved: Path, dissection: Dissection, nd: Any
    ) -> None:
        nd("report", saved, "--min-iou", "0.9")
        assert Dissection.load(saved).settings == dissection.settings

    @pytest.mark.parametrize("value", ["1", "-0.1", "nan", "inf"])
    def test_a_value_out_of_range(
        self, saved: Path, tmp_path: Path, value: str, nd: Any
    ) -> None:
        csv = tmp_path / "conv5.csv"
        csv.write_text(f"{HEAD}\n1,object,dog,0.2,dog,0.2\n")
        for source in (saved, csv):
            done = nd("report", source, "--min-iou", value)
            assert done.returncode == 2, done.stdout
            assert "is not between 0 and 1" in done.stderr


class TestUnits:
    def test_in_json(self, saved: Path, dissection: Dissection, nd: Any) -> None:
        layer = layer_of(nd("report", saved, "--json").stdout)
        assert layer["units"] == 5
        first, *_, last = layer["unit_scores"]
        assert first == {
            "unit": 0,
            "concept": "cat",
            "category": "object",
            "iou": 50 / 250,
            "threshold": 1.5,
            "intersection": 50,
            "unit_area": 100,
            "concept_area": 200,
            "detector": True,
            "state": "live",
            "precision": 0.5,
            "recall": 0.25,
            "f1": 1 / 3,
            "correlation": first["correlation"],
        }
        assert (last["unit"], last["state"]) == (4, "sparse")

    def test_a_line_for_each(self, saved: Path, nd: Any) -> None:
        lines = nd("report", saved, "--json").stdout.splitlines()
        units = [line for line in lines if line.strip().startswith('{"unit": ')]
        assert len(units) == 5

    def test_of_a_netdissect_file_with_both_numbers(
        self, tmp_path: Path, nd: Any
    ) -> None:
        csv = tmp_path / "conv5.csv"
        csv.write_text(f"{HEAD}\n7,object,dog,0.2,dog,0.2\n")
        layer = layer_of(nd("report", csv, "--json").stdout)
        (score,) = layer["unit_scores"]
        assert (score["unit"], score["unit_in_file"]) == (6, 7)
        assert "from 0 here and from 1 in the file" in layer["notes"][0]


class TestNetDissectFormat:
    def test_by_its_name(
        self, saved: Path, dissection: Dissection, tmp_path: Path, nd: Any
    ) -> None:
        done = nd("report", saved, "--format", "netdissect-csv")
        path = tmp_path / "layer.csv"
        path.write_text(done.stdout)
        report = read_netdissect_csv(path)
        assert [score.unit for score in report.scores] == [0, 1, 2, 3, 4]
        summary = dissection.summary()
        assert report.summary.detectors == summary.detectors
        assert report.summary.unique_detectors == summary.unique_detectors

    def test_one_layer_of_several(self, run: Path, tmp_path: Path, nd: Any) -> None:
        done = nd("report", run, "--format", "netdissect-csv")
        assert done.returncode == 2 and done.stdout == ""
        assert (
            "a NetDissect CSV file holds one layer, and these are 2" in done.stderr
        )
        path = tmp_path / "layer1.netdissect.csv"
        done = nd("report", run / "layer1", "-o", path)
        assert done.returncode == 0, done.stderr
        again = layer_of(nd("report", path, "--json").stdout)
        (own, _) = json.loads(nd("report", run, "--json").stdout)["layers"]
        assert own["layer"] == again["layer"] == "layer1"
        for count in ("units", "detectors", "unique_detectors_per_category"):
            assert again[count] == own[count], count
