"""Accuracies of stages from a CSV file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nd_plugin.errors import BadInput
from nd_plugin.experiments.evolution.accuracies import read_accuracies
from nd_plugin.experiments.evolution.stages import Stage

STAGES = (
    Stage(Path("w/epoch_1.pt"), "epoch_1.pt", 1),
    Stage(Path("w/epoch_10.pth.tar"), "epoch_10.pth.tar", 10),
)


def write(folder: Path, text: str) -> Path:
    path = folder / "accuracy.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "step,accuracy\n1,0.5\n10,0.75\n",
        "step,loss,accuracy\n10,0.1,0.75\n1,0.2,0.5\n",
        "checkpoint,accuracy\nepoch_1.pt,0.5\nw/epoch_10.pth.tar,0.75\n",
        "Checkpoint, Accuracy\nepoch_1, 0.5\nepoch_10, 0.75\n",
        "\ufeffstep,accuracy\r\n1.0,0.5\r\n10,7.5e-1\r\n",
    ],
)
def test_by_step_or_by_name(tmp_path: Path, text: str) -> None:
    accuracies = read_accuracies(write(tmp_path, text), STAGES)
    assert accuracies.values == (0.5, 0.75) and accuracies.notes == ()


def test_gaps_and_strangers_are_said(tmp_path: Path) -> None:
    path = write(tmp_path, "step,accuracy\n10,0.75\n20,0.8\n")
    accuracies = read_accuracies(path, STAGES)
    assert math.isnan(accuracies.values[0]) and accuracies.values[1] == 0.75
    assert accuracies.notes == (
        f"{path} has no accuracy of epoch_1.pt",
        f"{path}: no stage is 20",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none; expected checkpoint or step, and accuracy"),
        ("step,top1\n1,0.5\n", "columns step, top1"),
        ("step,accuracy\n1,high\n", "line 2: 'high' is no number"),
        ("step,accuracy\n1,\n", "line 2: '' is no number"),
        ("step,accuracy\n1,nan\n", "is no number"),
        (
            "step,accuracy\n1,0.5\n1,0.6\n",
            "line 3: epoch_1.pt has an accuracy already",
        ),
        ("step,accuracy\n3,0.5\n", "no row is of a stage"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read_accuracies(write(tmp_path, text), STAGES)


def test_a_name_of_two_stages_is_refused(tmp_path: Path) -> None:
    stages = [Stage(Path(f"{run}/last.pt"), f"{run}/last.pt", 1) for run in "ab"]
    path = write(tmp_path, "checkpoint,accuracy\nlast,0.5\n")
    with pytest.raises(BadInput, match=r"may be each of a/last\.pt, b/last\.pt"):
        read_accuracies(path, stages)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_accuracies(tmp_path / "none.csv", STAGES)


@pytest.mark.parametrize(
    "text", ["step,accuracy\n1," + "5" * 200_000, "a" * 200_000 + ",step\n1,2\n"]
)
def test_cells_beyond_the_limit_of_csv(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        BadInput, match=r"accuracy\.csv is no CSV file: field larger"
    ):
        read_accuracies(write(tmp_path, text), STAGES)
