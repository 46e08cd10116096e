"""Handwritten digits, a real problem: a rotated layer is as discriminative as the layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nd_plugin import Preprocess, open_model
from nd_plugin.contracts.models import ModelOptions
from nd_plugin.experiments.probing.discrimination import Rotations, discriminate
from nd_plugin.experiments.probing.linear_svm import SvmSettings

datasets = pytest.importorskip("sklearn.datasets")
OF_CLASS = 100  # images; the first 60 for training
PREPROCESS = Preprocess((16, 16), (0.0,), (1.0,))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the digits that scikit-learn brings along, 8 by 8 pixels each."""
    root = tmp_path_factory.mktemp("digits")
    images, labels = datasets.load_digits(return_X_y=True)
    for label in range(10):
        of_label = images[labels == label][:OF_CLASS]
        for index, pixels in enumerate(of_label):
            split = "train" if index < 60 else "test"
            path = root / split / str(label) / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = (pixels.reshape(8, 8) * 15.9).astype(np.uint8)
            Image.fromarray(values).save(path)
    return root


def random_network() -> nn.Module:
    """Network of grey images with random filters."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 24, 5, stride=2), nn.ReLU(), nn.Conv2d(24, 32, 3), nn.ReLU()
    )
    with torch.no_grad():
        for parameter in network.parameters():
            values = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(values / parameter[0].numel() ** 0.5)
    return network


def test_rotations_tell_digits_apart_as_well(digits: Path) -> None:
    model = open_model(random_network(), ModelOptions("cpu"))
    result = discriminate(
        model,
        ["1", "3"],
        digits,
        svm=SvmSettings(c=0.1),
        rotations=Rotations((0.5, 1.0), (0, 1, 2)),
        preprocess=PREPROCESS,
        workers=0,
    )
    assert (result.train_images, result.test_images) == (600, 400)
    for layer in result.layers:
        assert layer.accuracy.interval[0] > 3 * result.chance
        assert layer.accuracy.mean < 0.98, "not all digits are told apart"
        assert len(layer.rotated) == 6
        assert layer.is_as_discriminative
