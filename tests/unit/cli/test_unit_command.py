"""``nd unit``: one unit in the terminal, as JSON, as a plot; what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nd_plugin import Dissection
from nd_plugin.pictures.half_blocks import UPPER
from nd_plugin.results.run_folder import save_run


@pytest.fixture
def saved(pictured: Dissection, tmp_path: Path) -> Path:
    """Run of one layer."""
    return save_run(tmp_path / "run", [pictured])


@pytest.fixture
def layers(pictured: Dissection, tmp_path: Path) -> Path:
    """Run of two layers, one of them in two quantiles."""
    settings = replace(pictured.settings, quantile=0.01)
    later = replace(pictured, layer="later")
    return save_run(
        tmp_path / "layers", [pictured, later, replace(later, settings=settings)]
    )


def test_text(saved: Path, nd: Any) -> None:
    done = nd("unit", saved, "2")
    assert done.returncode == 0 and "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith("block.1/relu: unit 2 of 5 ──")
    assert lines[1] == "cat (object), IoU 0.2727: a detector (IoU > 0.04)"
    assert UPPER not in done.stdout


def test_pictures_in_a_terminal(saved: Path, nd: Any) -> None:
    options = {"FORCE_COLOR": "1", "NO_COLOR": "", "COLORTERM": "truecolor"}
    done = nd("unit", saved, "2", COLUMNS="100", TERM="xterm-256color", **options)
    assert UPPER in done.stdout and "\x1b[38;2;" in done.stdout


def test_number_of_images(saved: Path, nd: Any) -> None:
    text = nd("unit", saved, "2", "--top-images", "1").stdout
    assert "b.jpg" in text and "a.jpg" not in text
    done = nd("unit", saved, "2", "--top-images", "0")
    assert done.returncode == 2


def test_json(saved: Path, nd: Any) -> None:
    content = json.loads(nd("unit", saved, "2", "--json").stdout)
    assert content["schema"] == 1 and content["unit"] == 2
    assert content["concept"] == "cat" and content["detector"] is True


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_plot(saved: Path, tmp_path: Path, ending: str, nd: Any) -> None:
    path = tmp_path / f"x.{ending}"
    done = nd("unit", saved, "2", "--plot", path)
    assert done.returncode == 0, done.stderr
    assert path.is_file() and done.stdout == ""
    done = nd("unit", saved, "2", "--plot", path, "--json")
    assert json.loads(done.stdout)["unit"] == 2


def test_a_chosen_layer(layers: Path, nd: Any) -> None:
    done = nd("unit", layers, "1")
    assert done.returncode == 2
    assert "several layers; choose one with -l: block.1/relu, later" in done.stderr
    done = nd("unit", layers, "1", "-l", "block.1/relu")
    assert done.returncode == 0 and "tail (part)" in done.stdout
    done = nd("unit", layers, "1", "-l", "nothing")
    assert done.returncode == 2
    assert (
        "no layer 'nothing' in this run; it has block.1/relu, later" in done.stderr
    )


def test_a_layer_in_several_quantiles(layers: Path, nd: Any) -> None:
    done = nd("unit", layers, "1", "-l", "later")
    assert done.returncode == 2
    assert "layer 'later' in several quantiles (0.005, 0.01)" in done.stderr
    done = nd("unit", layers / "later-0.01", "1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("5", "no unit 5: layer 'block.1/relu' has 5, numbered from 0"),
        ("x", "Invalid value for 'UNIT'"),
    ],
)
def test_wrong_units(saved: Path, number: str, message: str, nd: Any) -> None:
    done = nd("unit", saved, number)
    assert done.returncode == 2 and message in done.stderr


def test_wrong_runs(saved: Path, tmp_path: Path, nd: Any) -> None:
    done = nd("unit", tmp_path / "none", "1")
    assert done.returncode == 2 and "no run" in done.stderr
    done = nd("unit", saved / "run.json", "1")
    assert done.returncode == 2
    assert "is a file; nd unit needs the folder of a run" in done.stderr


def test_wrong_endings_before_the_run_is_read(tmp_path: Path, nd: Any) -> None:
    done = nd("unit", tmp_path / "none", "1", "--plot", tmp_path / "x.jpg")
    assert done.returncode == 2 and "x.jpg ends in .jpg" in done.stderr
    done = nd("unit", tmp_path / "none", "1", "--plot", tmp_path / "x.pgf")
    assert done.returncode == 2 and "holds no pictures" in done.stderr


def test_a_run_without_pictures(
    dissection: Dissection, tmp_path: Path, nd: Any
) -> None:
    run = save_run(tmp_path / "old", [dissection])
    done = nd("unit", run, "2")
    assert done.returncode == 0 and "! The run has no pictures" in done.stdout
    done = nd("unit", run, "2", "--plot", tmp_path / "x.png")
    assert done.returncode == 2 and "cannot be drawn: the run has no" in done.stderr
    assert not (tmp_path / "x.png").exists()
