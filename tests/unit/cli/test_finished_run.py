"""``nd dissect --resume`` of a finished run: complete where the same is asked for, else refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nd_plugin.results.run_folder import RUN

CONCEPTS = "shapes?images=6&size=64&seed=0"
FACTORY = """
import torch
from torch import nn

batches = []

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Conv2d(3, 5, 5, 4, 2), nn.Conv2d(5, 6, 3, 2, 1)

    def forward(self, x):
        values = self.near(x)
        # not of a pass that ends at the first layer
        batches.append(len(x))
        return self.far(values.relu()).relu()

def net(seed="0"):
    torch.manual_seed(int(seed))
    return Net()
"""
MODEL = ["finished_net:net"]
LAYERS = ["-l", "near", "-l", "far"]
QUANTILES = ["--quantile", "0.05", "--quantile", "0.2"]
DATA = ["-c", CONCEPTS, "--input-size", "64", "--batch-size", "3", "--workers", "0"]


@pytest.fixture(scope="module", autouse=True)
def factory(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make ``finished_net:net`` importable, for this module of tests."""
    folder = tmp_path_factory.mktemp("factory")
    (folder / "finished_net.py").write_text(FACTORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("finished_net", None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, nd: Any, factory: None) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = nd("dissect", *MODEL, *LAYERS, *QUANTILES, *DATA, "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def forward_passes(monkeypatch: pytest.MonkeyPatch, run: Path) -> list[int]:
    """Images of each forward pass during a test."""
    import finished_net

    batches: list[int] = []
    monkeypatch.setattr(finished_net, "batches", batches)
    return batches


def contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Identity and time of every file, which change with every replacement."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


SAME = {
    "the same words": [*MODEL, *LAYERS, *QUANTILES, *DATA],
    "options in another order": [*DATA, *QUANTILES, *LAYERS, *MODEL],
    "layers in another order": [*MODEL, "-l", "far", "-l", "near", *QUANTILES, *DATA],
    "quantiles in another order": [*MODEL, *LAYERS, "--quantile=0.2", "--quantile=.050", *DATA],
    "longer words": [*MODEL, "--layer=near", "--layer=far", *QUANTILES, *DATA],
    "other workers": [*MODEL, *LAYERS, *QUANTILES, *DATA[:-1], "1"],
    "differs in way through the model": [
        *MODEL, *LAYERS, *QUANTILES, "-c", CONCEPTS, "--input-size", "64x64", "--batch-size", "2",
        "--memory", "10MB", "--checkpoint-every", "3", "--device", "cpu",
    ],
    "defaults spelt out": [
        *MODEL, *LAYERS, *QUANTILES, *DATA, "--min-iou", "0.04", "--anchor", "rf",
        "--top-images", "50", "--interpolation", "bilinear",
    ],
    "a shorter name of the concept set": [
        *MODEL, *LAYERS, *QUANTILES, "-c", "shapes?seed=0&size=64&images=6", "--input-size", "64",
    ],
    "the same weights by another name": [f"{MODEL[0]}?seed=0", *LAYERS, *QUANTILES, *DATA],
    "ready to be replaced": [*MODEL, *LAYERS, *QUANTILES, *DATA, "--overwrite"],
}  # fmt: skip


@pytest.mark.parametrize("arguments", SAME.values(), ids=SAME)
def test_the_same_is_complete(
    arguments: list[str], run: Path, nd: Any, forward_passes: list[int]
) -> None:
    before = contents(run)
    done = nd("dissect", *arguments, "-o", run, "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout == nd("report", run).stdout
    assert f"{run} is complete (nd report {run})" in done.stderr
    assert forward_passes == [] and contents(run) == before


def test_its_report_is_json_where_asked_for(run: Path, nd: Any) -> None:
    done = nd(
        "dissect",
        *MODEL,
        *LAYERS,
        *QUANTILES,
        *DATA,
        "-o",
        run,
        "--resume",
        "--json",
    )
    assert (
        done.returncode == 0 and done.stdout == nd("report", run, "--json").stdout
    )


def test_a_layer_may_go_by_another_name(run: Path, nd: Any) -> None:
    """A backend may know several names of a layer; the run has the canonical one."""
    layers = ["-l", "module.near", "-l", "module.far"]
    done = nd("dissect", *MODEL, *layers, *QUANTILES, *DATA, "-o", run, "--resume")
    assert done.returncode == 0 and "is complete" in done.stderr, done.stderr


OTHER = {
    "another quantile": (
        [*MODEL, *LAYERS, "--quantile", "0.05", "--quantile", "0.1", *DATA],
        "differs in settings.quantiles: [0.05, 0.2], not [0.05, 0.1]",
    ),
    "fewer quantiles": (
        [*MODEL, *LAYERS, "--quantile", "0.05", *DATA],
        "differs in settings.quantiles: [0.05, 0.2], not [0.05]",
    ),
    "fewer layers": (
        [*MODEL, "-l", "near", *QUANTILES, *DATA],
        "differs in layers: ['far', 'near'], not ['near']",
    ),
    "other weights": (
        [f"{MODEL[0]}?seed=1", *LAYERS, *QUANTILES, *DATA],
        "model.fingerprint: ",
    ),
    "other settings": (
        [*MODEL, *LAYERS, *QUANTILES, *DATA, "--top-images", "3"],
        "settings.top_images: 50, not 3",
    ),
    "another concept set": (
        [
            *MODEL,
            *LAYERS,
            *QUANTILES,
            *DATA,
            "-c",
            "shapes?images=6&size=64&seed=1",
        ],
        "concept set.fingerprint: ",
    ),
    "another preprocessing": (
        [*MODEL, *LAYERS, *QUANTILES, *DATA, "--mean", "0,0,0"],
        "preprocessing.mean: ",
    ),
}


@pytest.mark.parametrize(("arguments", "difference"), OTHER.values(), ids=OTHER)
def test_something_else_is_refused(
    arguments: list[str], difference: str, run: Path, nd: Any
) -> None:
    before = contents(run)
    done = nd("dissect", *arguments, "-o", run, "--resume")
    assert done.returncode == 2 and done.stdout == ""
    assert f"{run} exists already" in done.stderr and difference in done.stderr, (
        done.stderr
    )
    assert (
        "choose another folder, or replace the run with --overwrite" in done.stderr
    )
    assert contents(run) == before


def test_a_layer_that_there_is_not_is_named(run: Path, nd: Any) -> None:
    done = nd(
        "dissect", *MODEL, "-l", "nowhere", *QUANTILES, *DATA, "-o", run, "--resume"
    )
    assert done.returncode == 2 and "no layer 'nowhere' in Net" in done.stderr


def test_nothing_is_compared_without_resume(
    run: Path, nd: Any, forward_passes: list[int]
) -> None:
    done = nd("dissect", *MODEL, *LAYERS, *QUANTILES, *DATA, "-o", run)
    assert (
        done.returncode == 2
        and "exists already; choose another folder" in done.stderr
    )
    assert forward_passes == []


@pytest.mark.parametrize(
    "spoil", [lambda run: "{", lambda run: run], ids=["damaged", "another"]
)
def test_another_run_is_replaced_where_asked_for(
    spoil: Callable[[str], str], tmp_path: Path, nd: Any
) -> None:
    first = ["dissect", *MODEL, "-l", "near", *DATA, "-o", tmp_path / "run"]
    assert nd(*first).returncode == 0
    record = tmp_path / "run" / RUN
    record.write_text(spoil(record.read_text()))
    done = nd(
        "dissect", *MODEL, "-l", "far", *DATA, "-o", tmp_path / "run", "--resume"
    )
    assert done.returncode == 2, done.stderr
    done = nd("dissect", *MODEL, "-l", "far", *DATA, "-o", tmp_path / "run", "--resume",
              "--overwrite", "--json")  # fmt: skip
    assert done.returncode == 0 and f"saved in {tmp_path / 'run'}" in done.stderr, (
        done.stderr
    )
    assert '"layer": "far"' in done.stdout
