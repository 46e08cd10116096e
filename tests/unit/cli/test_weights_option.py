"""``--weights FILE``: what is said of weights that differ, in results and in errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networks
import torch

MODEL = "networks:ResNet18"


def test_notes_are_in_the_result(tmp_path: Path, probe_set: Path, nd: Any) -> None:
    state = networks.ResNet18(classes=9).state_dict()
    path = tmp_path / "w.pth.tar"
    torch.save({"arch": "resnet34", "state_dict": state}, path)
    done = nd(
        "dissect", MODEL, "-l", "paper", "-c", f"masks:{probe_set}", "--weights", path,
        "--input-size", "64", "-o", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    notes = json.loads(done.stdout)["layers"][0]["notes"]
    assert any("fc was given 9 outputs" in note for note in notes)
    assert any("it is of 'resnet34'" in note for note in notes)


def test_weights_that_do_not_fit(tmp_path: Path, nd: Any) -> None:
    path = tmp_path / "w.pt"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    done = nd("layers", MODEL, "--weights", path, "--input-size", "64")
    assert done.returncode == 2 and done.stdout == ""
    assert "no name is the same" in done.stderr and "Traceback" not in done.stderr
