"""Pictures of top images from the command line: how many, none, a budget."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nd_plugin import Dissection
from nd_plugin.results.npz_format import ARRAYS

FACTORY = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 5, 4, 2), nn.ReLU())
"""
DISSECT = [
    "dissect", "pictured_net:net", "-l", "0", "-c", "shapes?images=20&size=64&seed=0",
    "--input-size", "64", "--batch-size", "3", "--workers", "0", "--quantile", "0.05",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def factory(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("factory")
    (folder / "pictured_net.py").write_text(FACTORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("pictured_net", None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, nd: Any, factory: None) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = nd(*DISSECT, "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_fifteen_of_fifty(run: Path) -> None:
    found = Dissection.load(run)
    assert found.top_images.shape == (5, 20)  # there are no more images
    assert found.pictures is not None and found.pictures.units_top == 15
    assert found.activation_mask(0, 14) is not None
    assert found.activation_mask(0, 15) is None
    assert (run / "0" / "pictures.npz").is_file()


def test_a_number_of_top_images_is_that_of_pictures(
    tmp_path: Path, nd: Any
) -> None:
    done = nd(*DISSECT, "-o", tmp_path / "run", "--top-images", "18")
    assert done.returncode == 0, done.stderr
    found = Dissection.load(tmp_path / "run")
    assert found.top_images.shape == (5, 18)
    assert found.pictures is not None and found.pictures.units_top == 18


def test_no_pictures(run: Path, tmp_path: Path, nd: Any) -> None:
    done = nd(*DISSECT, "-o", tmp_path / "run", "--no-pictures")
    assert done.returncode == 0, done.stderr
    assert done.stdout == nd("report", run).stdout
    assert sorted(path.name for path in (tmp_path / "run" / "0").iterdir()) == [
        "dissection.npz",
        "units.csv",
    ]
    found, pictured = Dissection.load(tmp_path / "run"), Dissection.load(run)
    assert found.pictures is None and found.histogram(0) is not None
    for name in ARRAYS:
        assert np.array_equal(getattr(found, name), getattr(pictured, name))


def test_a_budget_is_noted_in_the_report(tmp_path: Path, nd: Any) -> None:
    done = nd(*DISSECT, "-o", tmp_path / "run", "--picture-budget", "100KB")
    assert done.returncode == 0, done.stderr
    found = Dissection.load(tmp_path / "run")
    assert found.pictures is not None
    ranks = found.pictures.units_top
    assert 0 < ranks < 15 and found.pictures.nbytes <= 100_000
    note = f"pictures are of the first {ranks} of 15 top images of each unit"
    assert note in " ".join(done.stdout.split())
    assert nd("report", tmp_path / "run").stdout == done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--picture-budget", "much"], "--picture-budget 'much' is not an amount"),
        (["--picture-budget", "0"], "picture_budget 0 is not a positive number"),
        (["--top-images", "0"], "--top-images"),
    ],
)
def test_bad_options_are_refused_before_the_run(
    tmp_path: Path, nd: Any, options: list[str], message: str
) -> None:
    done = nd(*DISSECT, "-o", tmp_path / "run", *options)
    assert done.returncode == 2 and message in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_report_of_numbers_reads_no_pictures(
    run: Path, tmp_path: Path, nd: Any
) -> None:
    damaged = tmp_path / "run"
    shutil.copytree(run, damaged)
    (damaged / "0" / "pictures.npz").write_bytes(b"damaged")
    done = nd("report", damaged)
    assert (done.returncode, done.stdout) == (0, nd("report", run).stdout)
    (damaged / "0" / "pictures.npz").unlink()
    assert nd("report", damaged).stdout == done.stdout
    assert Dissection.load(damaged).pictures is None


def test_a_run_is_replaced_with_its_pictures(tmp_path: Path, nd: Any) -> None:
    for options in ([], ["--no-pictures"], []):
        done = nd(*DISSECT, "-o", tmp_path / "run", "--overwrite", *options)
        assert done.returncode == 0, done.stderr
        is_pictured = (tmp_path / "run" / "0" / "pictures.npz").is_file()
        assert is_pictured == (not options)


def test_the_same_run_is_complete_whatever_its_pictures(run: Path, nd: Any) -> None:
    done = nd(*DISSECT, "-o", run, "--resume", "--no-pictures")
    assert done.returncode == 0 and "is complete" in done.stderr, done.stderr


def test_shards_are_merged_with_pictures(
    run: Path, tmp_path: Path, nd: Any
) -> None:
    for shard in ("1-of-2", "2-of-2"):
        text = shard.replace("-of-", "/")
        done = nd(*DISSECT, "-o", tmp_path / shard, "--shard", text)
        assert done.returncode == 0, done.stderr
    merged = tmp_path / "merged"
    parts = (tmp_path / "1-of-2", tmp_path / "2-of-2")
    done = nd("merge", *parts, "-o", merged)
    assert done.returncode == 0, done.stderr
    file = Path("0") / "pictures.npz"
    assert (merged / file).read_bytes() == (run / file).read_bytes()
