"""``nd`` in this process and in processes of its own; a probe data set and a run of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_here import Finished, run_nd
from PIL import Image

TESTS = Path(__file__).parents[2]
MODEL = "networks:ResNet18"


@pytest.fixture(scope="session")
def nd(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Finished]:
    """Run ``nd`` in this process, as its entry point does; keywords are environment variables."""
    cache = tmp_path_factory.mktemp("cache")

    def run_here(*arguments: str | Path, **environment: str) -> Finished:
        return run_nd(*arguments, **{"XDG_CACHE_HOME": str(cache), **environment})

    return run_here


@pytest.fixture(scope="session")
def surroundings() -> dict[str, str]:
    """Environment of a process that runs ``nd`` on the networks of the tests."""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def nd_process(
    surroundings: dict[str, str],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``nd`` in a process of its own; keywords are environment variables."""

    def run_there(
        *arguments: str | Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nd_plugin", *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**surroundings, **environment},
            timeout=1200,
            check=False,
        )

    return run_there


@pytest.fixture(scope="session")
def probe_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images in the masks format."""
    root = tmp_path_factory.mktemp("set")
    random = np.random.default_rng(0)
    (root / "images").mkdir()
    (root / "masks" / "object").mkdir(parents=True)
    mask = np.repeat([[0] * 16 + [1] * 16], 24, 0).astype(np.uint8)
    for index in range(6):
        pixels = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        pixels[:, :32] //= 3
        Image.fromarray(pixels).save(root / "images" / f"{index}.png")
        Image.fromarray(mask).save(root / "masks/object" / f"{index}.png")
    (root / "concepts.csv").write_text(
        "category,value,name\nobject,0,dark\nobject,1,light\n"
    )
    (root / "image_labels.csv").write_text(
        "image,category,name\n0.png,scene,first-s\n"
    )
    return root


@pytest.fixture(scope="session")
def run(
    probe_set: Path,
    tmp_path_factory: pytest.TempPathFactory,
    nd: Callable[..., Finished],
) -> Path:
    """Run of two layers on the probe data set."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = nd("dissect", MODEL, "-l", "layer1", "-l", "layer2.0", "-c", f"masks:{probe_set}",
              "-o", folder, "--input-size", "64", "--quantile", "0.2", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    layers = json.loads(done.stdout)["layers"]
    assert [layer["layer"] for layer in layers] == ["layer1", "layer2.0"]
    assert set(layers[0]) >= {
        "layer", "units", "detectors", "unique_detectors", "unique_detectors_by_category",
        "unique_detectors_per_category", "detectors_by_category", "concepts", "images",
    }  # fmt: skip
    assert (
        layers[0]["images"] == 6
        and layers[0]["concepts"] == 3
        and layers[0]["units"] == 4
    )
    assert (
        "activations: 6 images" in done.stderr
        and f"saved in {folder}" in done.stderr
    )
    return folder
