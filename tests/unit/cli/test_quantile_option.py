"""``--quantile`` with several values: lists, one pass, reports and figures of the saved run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nd_plugin.cli.parsing import parse_quantiles
from nd_plugin.errors import BadInput

MODEL = (
    "networks:ResNet18",
    "-l",
    "layer1",
    "--input-size",
    "64",
    "--workers",
    "0",
)


def test_lists_and_repetitions() -> None:
    assert parse_quantiles([]) == ()
    assert parse_quantiles(["0.0025,0.005, 0.01"]) == (0.0025, 0.005, 0.01)
    assert parse_quantiles(["0.02", "0.005,0.020"]) == (0.02, 0.005)


@pytest.mark.parametrize("text", ["", "0.1,,0.2", "0.1;0.2", "0,1 %", "many"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(BadInput, match="is no number"):
        parse_quantiles([text])


@pytest.mark.parametrize("text", ["0", "0.005,1", "nan", "-0.1", "0.005,inf"])
def test_ranges_are_checked_before_the_run(
    probe_set: Path, tmp_path: Path, text: str, nd: Any
) -> None:
    run = tmp_path / "run"
    done = nd("dissect", *MODEL, "-c", f"masks:{probe_set}", "-o", run,
              f"--quantile={text}")  # fmt: skip
    assert done.returncode == 2 and not run.exists()
    assert "is not between 0 and 1" in done.stderr


def test_a_sweep_is_saved_and_drawn_without_the_model(
    probe_set: Path, tmp_path: Path, nd: Any
) -> None:
    run = tmp_path / "run"
    done = nd("dissect", *MODEL, "-c", f"masks:{probe_set}", "-o", run,
              "--quantile", "0.05,0.1,0.2", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    quantiles = [layer["quantile"] for layer in content["layers"]]
    (sweep,) = content["quantile_sweeps"]
    points = [point["quantile"] for point in sweep["points"]]
    assert quantiles == points == [0.05, 0.1, 0.2]
    assert json.loads(nd("report", run, "--json").stdout) == content
    assert "layer1 over τ" in nd("report", run).stdout
    table = tmp_path / "x.quantiles.csv"
    figures = [tmp_path / "labels.svg", tmp_path / "iou.pdf"]
    for kind, path in zip(("quantiles", "quantile-iou"), figures, strict=True):
        plotted = nd("report", run, "--plot", path, "--plot-kind", kind)
        assert plotted.returncode == 0, plotted.stderr
        assert path.stat().st_size > 1000
    nd("report", run, "-o", table)
    assert table.read_text().startswith("layer,quantile,units,detectors,unique")
    assert len(table.read_text().splitlines()) == 4
