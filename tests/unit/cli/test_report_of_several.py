"""``nd report`` of several runs and CSV files: every report, then all layers side by side."""

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

PUBLISHED = (
    "unit,category,label,score,object-label,object-iou\n1,object,cat,0.3,cat,0.3\n"
)


@pytest.fixture
def runs(dissection: Dissection, tmp_path: Path) -> tuple[Path, Path]:
    settings = replace(dissection.settings, quantile=0.02)
    other = replace(dissection, layer="fc", settings=settings)
    return (
        save_run(tmp_path / "alexnet", [dissection]),
        save_run(tmp_path / "vgg", [dissection, other]),
    )


def test_a_terminal_gets_all_reports_and_the_comparison(
    runs: tuple[Path, Path], nd: Any
) -> None:
    done = nd("report", *runs)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    titles = [line.partition(" ──")[0] for line in lines if " ───" in line]
    assert titles == [
        "alexnet block.1/relu",
        "vgg block.1/relu",
        "vgg fc",
        "side by side",
    ]
    table = lines[
        lines.index(next(line for line in lines if "side by side" in line)) :
    ]
    assert "alexnet block.1/relu" in table[1] and "vgg fc" in table[1]
    unique = next(line for line in table if line.startswith("unique detectors"))
    assert unique.split() == ["unique", "detectors", "2", "2", "2"]
    assert (
        "! quantiles differ: 0.005 (alexnet block.1/relu, vgg block.1/relu); 0.02"
        in (" ".join(done.stdout.split()))
    )


def test_json_has_the_runs_and_the_comparison(
    runs: tuple[Path, Path], nd: Any
) -> None:
    content = json.loads(nd("report", *runs, "--json").stdout)
    assert [layer["run"] for layer in content["layers"]] == [
        "alexnet",
        "vgg",
        "vgg",
    ]
    comparison = content["comparison"]
    names = ["alexnet block.1/relu", "vgg block.1/relu", "vgg fc"]
    assert [layer["name"] for layer in comparison["layers"]] == names
    concepts = [row["concept"] for row in comparison["concepts"]]
    assert concepts == ["cat", "tail"]
    assert set(comparison["concepts"][0]["layers"]) == set(names)


def test_one_run_is_reported_as_ever(runs: tuple[Path, Path], nd: Any) -> None:
    _, vgg = runs
    assert "side by side" not in nd("report", vgg).stdout
    content = json.loads(nd("report", vgg, "--json").stdout)
    assert set(content) == {"schema", "layers"}
    assert "run" not in content["layers"][0]


def test_csv_names_the_run_of_each_unit(runs: tuple[Path, Path], nd: Any) -> None:
    text = nd("report", *runs, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0])[:3] == ["run", "layer", "unit"]
    assert {(row["run"], row["layer"]) for row in rows} == {
        ("alexnet", "block.1/relu"),
        ("vgg", "block.1/relu"),
        ("vgg", "fc"),
    }


def test_an_authors_file_stands_beside_a_run(
    runs: tuple[Path, Path], tmp_path: Path, nd: Any
) -> None:
    path = tmp_path / "conv5.csv"
    path.write_text(PUBLISHED)
    done = nd("report", runs[0], path)
    assert "conv5 ──" in done.stdout, "the name of a file is no layer behind it"
    text = " ".join(done.stdout.split())
    assert "! conv5 records no concept set, images, quantile" in text
    counts = text.partition("side by side")[2].partition("unique / units")[0]
    assert counts.split()[-2:] == ["2", "1"]


def test_one_limit_counts_all(runs: tuple[Path, Path], nd: Any) -> None:
    content = json.loads(nd("report", *runs, "--json", "--min-iou", "0.26").stdout)
    counts = [layer["detectors"] for layer in content["comparison"]["layers"]]
    assert counts == [1, 1, 1]


def test_a_run_that_is_named_twice_is_refused(
    runs: tuple[Path, Path], nd: Any
) -> None:
    done = nd("report", runs[0], runs[1], runs[0])
    assert done.returncode == 2
    assert "alexnet is given 2 times; name each run once" in done.stderr


def test_pages_are_the_comparison_and_each_runs_report(
    runs: tuple[Path, Path], tmp_path: Path, nd: Any
) -> None:
    folder = tmp_path / "side"
    done = nd("report", *runs, "--html", folder)
    assert done.returncode == 0, done.stderr
    assert f"open {folder / 'index.html'} in a browser" in done.stderr
    assert done.stdout == ""
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "3 layers side by side" in page
    assert "quantiles differ" in page
    for name in ("run-1/index.html", "run-2/index.html", "concepts/2.html"):
        assert (folder / name).is_file()
    again = nd("report", *runs, "--html", folder)
    assert again.returncode == 0, "an earlier comparison is replaced"


def test_one_file_is_the_comparison_alone(
    runs: tuple[Path, Path], tmp_path: Path, nd: Any
) -> None:
    page = tmp_path / "side.html"
    assert nd("report", *runs, "--html", page).returncode == 0
    text = page.read_text(encoding="utf-8")
    assert "3 layers side by side" in text and "run-1/" not in text
    other = tmp_path / "other.html"
    assert nd("report", *runs, "-o", other).returncode == 0
    assert other.read_text(encoding="utf-8") == text


def test_files_have_the_comparison_too(
    runs: tuple[Path, Path], tmp_path: Path, nd: Any
) -> None:
    text_file = tmp_path / "side.txt"
    assert nd("report", *runs, "-o", text_file).returncode == 0
    text = text_file.read_text(encoding="utf-8")
    assert text.index("vgg fc ──") < text.index("side by side ──")
    json_file = tmp_path / "side.json"
    printed = nd("report", *runs, "--json", "-o", json_file).stdout
    assert json_file.read_text(encoding="utf-8").rstrip() == printed.rstrip()
    assert "comparison" in json.loads(printed)
