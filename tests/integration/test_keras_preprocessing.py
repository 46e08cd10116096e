"""Keras models with preprocessing layers of their own, exported to ONNX by Keras."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nd_plugin import open_model

PATIENCE = 1200.0  # seconds for Keras to start and export on a busy machine
SIZE = (48, 48)
SCRIPT = """
import sys
from pathlib import Path
import keras, numpy as np
from keras import layers

folder = Path(sys.argv[1])
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
adapted, grey = layers.Normalization(), layers.Normalization()
adapted.adapt(rng.normal((120, 110, 90), (60, 55, 50), (20, 48, 48, 3)).astype("float32"))
grey.adapt(rng.random((20, 48, 48, 1)).astype("float32"))
first_layers = {
    "rescaling": [layers.Rescaling(1 / 127.5, offset=-1)],
    "rescaling_and_normalization": [
        layers.Rescaling(1 / 255),
        layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.0524, 0.0502, 0.0506]),
    ],
    "resizing": [layers.Resizing(64, 64), layers.Rescaling(1 / 255)],
    "normalization": [adapted],
    "grey": [grey],
    "none": [],
}
pixels = rng.integers(0, 256, (2, 48, 48, 3)).astype("float32")
for name, first in first_layers.items():
    channels = 1 if name == "grey" else 3
    model = keras.Sequential([
        layers.Input((48, 48, channels)), *first,
        layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(3),
    ])
    images = pixels[..., :1] / 255 if name == "grey" else pixels
    np.savez(folder / f"{name}.npz", images=images, outputs=model.predict(images, verbose=0))
    model.export(folder / f"{name}.onnx", format="onnx", verbose=False)
"""
PIXELS = [
    "rescaling",
    "rescaling_and_normalization",
    "resizing",
    "normalization",
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of files, each with images as Keras takes them and the outputs for these."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("no package keras")
    folder = tmp_path_factory.mktemp("keras")
    environment = {
        **os.environ,
        "KERAS_BACKEND": "torch",
        "KERAS_HOME": str(folder),
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", [*PIXELS, "grey"])
def test_own_layers_say_what_the_file_takes(exported: Path, name: str) -> None:
    opened = open_model(str(exported / f"{name}.onnx"))
    preprocess = opened.preprocess
    assert preprocess.source.startswith("the graph's first operations (")
    assert preprocess.size == SIZE and preprocess.notes == ()
    scale, channels = (1 / 255, 1) if name == "grey" else (1, 3)
    assert (preprocess.mean, preprocess.std) == ((0,) * channels, (1,) * channels)
    assert preprocess.scale == scale


@pytest.mark.parametrize("name", [*PIXELS, "grey"])
def test_pictures_give_what_keras_gives(exported: Path, name: str) -> None:
    opened = open_model(str(exported / f"{name}.onnx"))
    with np.load(exported / f"{name}.npz") as saved:
        images, outputs = saved["images"], saved["outputs"]
    levels = images * (255 if name == "grey" else 1)
    pixels = torch.from_numpy(levels.round().astype(np.uint8)).permute(0, 3, 1, 2)
    actual = opened.outputs(opened.preprocess.normalise(pixels))
    # kernels of two libraries
    assert np.allclose(actual.numpy(), outputs, rtol=1e-3, atol=1e-4)


def test_without_such_layers_the_preprocessing_is_assumed(exported: Path) -> None:
    preprocess = open_model(str(exported / "none.onnx")).preprocess
    assert preprocess.source == "ImageNet's (the file names none)"
    assert preprocess.assumed
