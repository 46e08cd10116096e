"""``nd rotate`` in processes: two together under torchrun, and one that is killed and continued."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nd_plugin import Dissection
from nd_plugin.experiments.rotation.folder import load_study
from nd_plugin.experiments.rotation.study import RotationStudy

PATIENCE = 900.0  # seconds, for a busy machine
IMAGES, BATCH, HALT = 24, 4, 12
FACTORY = f"""
import os, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.near = nn.Conv2d(3, 5, 5, 4, 2)
        self.images = 0

    def forward(self, x):
        if len(x) == {BATCH}:  # what opens a run takes batches of other sizes
            with open(os.environ["ND_SEEN"], "a") as seen:
                seen.write("x" * len(x))
            self.images += len(x)
            while self.images > int(os.environ["ND_HALT"]):
                open(os.environ["ND_SEEN"] + ".halted", "w").close()
                time.sleep(0.02)
        return self.near(x).relu()

def net():
    torch.manual_seed(0)
    return Net()
"""
ROTATE = (
    *("rotate", "slow:net", "-l", "near", "-c", f"shapes?images={IMAGES}&size=64"),
    *("--input-size", "64", "--quantile", "0.05", "--batch-size", str(BATCH)),
    *("--workers", "0", "--alpha", "0,0.5,1", "--repeats", "2", "--json"),
    *("--checkpoint-every", str(BATCH)),
)
TORCHRUN = (
    *("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"),
)
ARRAYS = ("thresholds", "intersection", "unit_area", "top_images", "sparse")


def start(folder: Path, *command: str, halt: int = 10**9) -> subprocess.Popen[str]:
    (folder / "slow.py").write_text(FACTORY)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "ND_HALT": str(halt),
        "ND_SEEN": str(folder / "seen"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def rotate(folder: Path, *arguments: str, module: tuple[str, ...] = ()) -> str:
    process = start(folder, *module, "nd_plugin", *ROTATE, *arguments)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    return stdout


def check_same(study: RotationStudy, expected: RotationStudy) -> None:
    assert study.to_dict()["points"] == expected.to_dict()["points"]
    pairs = zip(study.dissections, expected.dissections, strict=True)
    for first, second in pairs:
        check_same_arrays(first, second)


def check_same_arrays(first: Dissection, second: Dissection) -> None:
    assert first.layer == second.layer
    for name in ARRAYS:
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[RotationStudy, str]:
    folder = tmp_path_factory.mktemp("whole")
    stdout = rotate(folder, "-o", "study")
    return load_study(folder / "study"), stdout


def test_torchrun_gives_the_bits_of_one_process(
    whole: tuple[RotationStudy, str], tmp_path: Path
) -> None:
    expected, report = whole
    stdout = rotate(tmp_path, "-o", "study", module=TORCHRUN)
    assert json.loads(stdout) == json.loads(report), "one report"
    check_same(load_study(tmp_path / "study"), expected)
    assert not (tmp_path / "study.partial").exists()


def test_a_killed_study_is_continued(
    whole: tuple[RotationStudy, str], tmp_path: Path
) -> None:
    process = start(tmp_path, "nd_plugin", *ROTATE, "-o", "study", halt=HALT)
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "seen.halted").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.communicate()
    assert not (tmp_path / "study").exists()
    (tmp_path / "seen").unlink()
    rotate(tmp_path, "-o", "study", "--resume")
    images = len((tmp_path / "seen").read_text())
    assert images < IMAGES, "what was done is not done again"
    check_same(load_study(tmp_path / "study"), whole[0])
    assert not (tmp_path / "study.partial").exists()
    # other rotations are another run
    refused = start(tmp_path, "nd_plugin", *ROTATE, "-o", "other", halt=HALT)
    (tmp_path / "seen.halted").unlink()
    while not (tmp_path / "seen.halted").exists():
        assert refused.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    refused.kill()
    refused.communicate()
    command = (*ROTATE, "-o", "other", "--resume", "--seed", "5")
    process = start(tmp_path, "nd_plugin", *command)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and "differs in model.fingerprint" in stderr
