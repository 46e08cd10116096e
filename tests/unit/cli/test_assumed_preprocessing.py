"""A preprocessing that was guessed: every command says so."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import torch

from nd_plugin.results.run_folder import load_run

MODEL = "networks:ResNet18"
NOTE = "the preprocessing is assumed: ImageNet's (the model names none)"
GIVEN = ["--mean", "0.5", "--std", "0.25"]


@pytest.fixture(scope="module")
def options(probe_set: Path) -> list[str]:
    return [MODEL, "-l", "layer4", "-c", f"masks:{probe_set}", "--input-size", "64"]


def test_a_saved_run(run: Path, nd: Any) -> None:
    """The size was given, and mean and std were not."""
    lines = nd("report", run, COLUMNS="200").stdout.splitlines()
    assert any(line.startswith(f"! {NOTE}; given: size; ") for line in lines)
    for layer in json.loads(nd("report", run, "--json").stdout)["layers"]:
        assert layer["notes"][0].startswith(NOTE)
    assert NOTE in unescape(nd("report", run, "--format", "html").stdout)
    recorded = json.loads((run / "run.json").read_text())
    assert recorded["notes"][0].startswith(NOTE)
    assert recorded["preprocess"]["assumed"] is True


def test_a_new_run(options: list[str], tmp_path: Path, nd: Any) -> None:
    done = nd("dissect", *options, "-o", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    first_line = done.stderr.splitlines()[0]
    assert first_line.startswith(f"! {NOTE}"), "before the images are run"
    (layer,) = json.loads(done.stdout)["layers"]
    assert layer["notes"][0].startswith(NOTE)


def test_merged_shards(options: list[str], tmp_path: Path, nd: Any) -> None:
    parts = [tmp_path / "1", tmp_path / "2"]
    for number, folder in enumerate(parts, start=1):
        # the factory draws its weights
        torch.manual_seed(0)
        done = nd(
            "dissect",
            *options,
            "-o",
            folder,
            "--shard",
            f"{number}/2",
            "--batch-size",
            "3",
        )
        assert done.returncode == 0, done.stderr
    done = nd("merge", *parts, "-o", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    (layer,) = json.loads(done.stdout)["layers"]
    assert layer["notes"][0].startswith(NOTE)


def test_an_explanation(run: Path, probe_set: Path, nd: Any) -> None:
    arguments = [run, MODEL, probe_set / "images/0.png"]
    done = nd("explain", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    (explanation,) = json.loads(done.stdout)["explanations"]
    assert explanation["notes"][0].startswith(NOTE)
    assert f"! {NOTE}" in nd("explain", *arguments, COLUMNS="200").stdout


def test_a_list_of_layers(nd: Any) -> None:
    done = nd("layers", MODEL, "--input-size", "64", "--json")
    assert done.stderr.startswith(f"! {NOTE}; given: size; ")
    assert json.loads(done.stdout)["layers"]


def test_values_that_were_all_given(
    options: list[str], tmp_path: Path, nd: Any
) -> None:
    done = nd("dissect", *options, *GIVEN, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "assumed" not in done.stdout + done.stderr
    assert "ImageNet" not in done.stdout + done.stderr
    assert "64x64, given: size, mean, std" in done.stdout
    (dissection,) = load_run(tmp_path / "run")
    recorded = dissection.provenance.preprocess
    assert recorded["mean"] == [0.5] * 3 and recorded["std"] == [0.25] * 3


def test_the_demo_states_its_own(tmp_path: Path, nd: Any) -> None:
    pytest.importorskip(
        "efficientnet_lite_pytorch", reason="needs the extra 'demo'"
    )
    done = nd("demo", "--images", "4", "-o", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    assert "assumed" not in done.stdout + done.stderr
