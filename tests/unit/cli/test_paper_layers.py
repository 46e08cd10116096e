"""``nd layers --paper`` and ``-l paper`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

MODEL = "networks:ResNet18"


def test_the_papers_layers_are_listed(nd: Any) -> None:
    done = nd("layers", MODEL, "--paper", "--input-size", "64")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split("  ")[0] == "layer4"
    assert "res5c of ResNet" in done.stdout
    assert "-l paper stands for the first of these" in done.stderr


def test_in_json(nd: Any) -> None:
    done = nd("layers", "nd_torch.zoo:alexnet_gap", "--paper", "--json")
    layers = json.loads(done.stdout)["layers"]
    assert [layer["name"] for layer in layers] == [
        "relu5",
        *(f"relu{number}" for number in range(1, 5)),
    ]
    assert layers[0]["shape"] == [1, 256, 13, 13]
    paper = layers[0]["paper"]
    assert paper == {
        "network": "AlexNet",
        "paper_name": "conv5",
        "role": "compared with other networks (section 3.4)",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["networks:alexnet", "--input-size", "227"], "choose a layer by name"),
        ([MODEL, "--verify"], "choose one of them"),
    ],
)
def test_what_cannot_be_listed(arguments: list[str], message: str, nd: Any) -> None:
    done = nd("layers", *arguments, "--paper")
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr


def test_dissecting_the_papers_layer(
    nd: Any, probe_set: Path, tmp_path: Path
) -> None:
    arguments = ["-c", f"masks:{probe_set}", "--input-size", "64", "--json"]
    done = nd("dissect", MODEL, "-l", "paper", "-o", tmp_path / "run", *arguments)
    assert done.returncode == 0, done.stderr
    (layer,) = json.loads(done.stdout)["layers"]
    assert layer["layer"] == "layer4"
    assert "-l paper: layer4, the paper's res5c of ResNet" in done.stderr
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [record["layer"] for record in run["layers"]] == ["layer4"]


def test_a_run_does_not_know_the_papers_layer(
    nd: Any, run: Path, probe_set: Path
) -> None:
    image = probe_set / "images" / "0.png"
    done = nd("explain", run, MODEL, image, "-l", "paper")
    assert done.returncode == 2
    assert "name one of layer1, layer2.0" in done.stderr
