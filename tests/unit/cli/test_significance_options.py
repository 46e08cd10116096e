"""``nd dissect --folds --permutations --seed``: what is saved, shown, merged and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nd_plugin import Dissection, LayerDissection, Preprocess
from nd_plugin.results.run_folder import load_run

DISSECT = ("dissect", "networks:ResNet18", "-l", "layer1", "--input-size", "64")
SIGNIFICANCE = ("--folds", "2", "--permutations", "3", "--seed", "4")
FAST = ("--quantile", "0.2", "--batch-size", "2", "--workers", "0", "--no-pictures")


def assert_same(one: Dissection, other: Dissection) -> None:
    assert one.folds is not None and other.folds is not None
    assert one.chance is not None and other.chance is not None
    for first, second in ((one.folds, other.folds), (one.chance, other.chance)):
        for name, value in vars(first).items():
            assert np.array_equal(value, getattr(second, name)), name


@pytest.fixture(scope="session")
def nd_seeded(nd: Callable[..., Any]) -> Callable[..., Any]:
    """Run ``nd`` with a model whose random weights are always the same."""

    def run_seeded(*arguments: str | Path) -> Any:
        torch.manual_seed(0)
        return nd(*arguments)

    return run_seeded


@pytest.fixture(scope="module")
def counted(
    probe_set: Path,
    tmp_path_factory: pytest.TempPathFactory,
    nd_seeded: Callable[..., Any],
) -> tuple[Path, str]:
    """A run with folds and permutations, and what it has said."""
    folder = tmp_path_factory.mktemp("counted") / "run"
    done = nd_seeded(
        *DISSECT, "-c", f"masks:{probe_set}", "-o", folder, *SIGNIFICANCE, *FAST
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


def test_they_are_saved_and_shown(counted: tuple[Path, str]) -> None:
    folder, messages = counted
    (dissection,) = load_run(folder)
    assert dissection.folds is not None and dissection.folds.folds == 2
    assert dissection.chance is not None
    assert dissection.chance.iou.shape == (3, dissection.units)
    settings = json.loads((folder / "run.json").read_text())["settings"]
    assert [settings[name] for name in ("folds", "permutations", "seed")] == [
        2,
        3,
        4,
    ]
    assert "permutations: 6 images in" in messages


def test_shards_are_merged(
    counted: tuple[Path, str],
    probe_set: Path,
    tmp_path: Path,
    nd_seeded: Callable[..., Any],
) -> None:
    shards = []
    for number in (1, 2):
        shards.append(tmp_path / f"shard{number}")
        done = nd_seeded(*DISSECT, "-c", f"masks:{probe_set}", "-o", shards[-1],
                  "--shard", f"{number}/2", *SIGNIFICANCE, *FAST)  # fmt: skip
        assert done.returncode == 0, done.stderr
    done = nd_seeded("merge", *shards, "-o", tmp_path / "merged", "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert_same(load_run(tmp_path / "merged")[0], load_run(counted[0])[0])


def test_from_python(counted: tuple[Path, str], probe_set: Path) -> None:
    torch.manual_seed(0)
    layer = LayerDissection("networks:ResNet18", "layer1")
    dissection = layer.dissect(
        f"masks:{probe_set}",
        quantile=0.2,
        batch_size=2,
        workers=0,
        preprocess=Preprocess((64, 64)),
        folds=2,
        permutations=3,
        seed=4,
    )
    assert isinstance(dissection, Dissection)
    assert_same(dissection, load_run(counted[0])[0])


def test_a_finished_run_is_the_same_with_the_same_settings_only(
    counted: tuple[Path, str], probe_set: Path, nd_seeded: Callable[..., Any]
) -> None:
    again = (*DISSECT, "-c", f"masks:{probe_set}", "-o", counted[0], "--resume")
    done = nd_seeded(*again, *SIGNIFICANCE, *FAST)
    assert done.returncode == 0 and "is complete" in done.stderr
    done = nd_seeded(*again, "--folds", "2", "--permutations", "3", *FAST)
    assert done.returncode == 2
    assert "differs in settings.seed: 4, not 0" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--folds", "1"), "folds 1 leaves nothing to compare: give at least 2"),
        (("--permutations", "-1"), "--permutations"),
        (("--seed", "-1"), "--seed"),
        (("--seed", "4"), "is the seed of --folds and --permutations"),
    ],
)
def test_what_cannot_be_meant(
    probe_set: Path,
    tmp_path: Path,
    nd_seeded: Callable[..., Any],
    options: tuple[str, str],
    message: str,
) -> None:
    target = tmp_path / "run"
    done = nd_seeded(*DISSECT, "-c", f"masks:{probe_set}", "-o", target, *options)
    assert done.returncode == 2 and message in done.stderr
    assert not target.exists()
