"""Dissections of torch models, from a concept set of two images of noise."""

from __future__ import annotations

import re
from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nd_plugin import (
    Annotation,
    BadInput,
    Concept,
    Dissection,
    Identity,
    LayerDissection,
    NonFiniteActivation,
    Preprocess,
)


class Noise:
    """A concept set of two images."""

    identity = Identity("noise", "noise", "1", "")
    categories = ("object",)
    concepts = (Concept("left", "object"),)
    native_masks = False

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return f"noise-{index}"

    def image(self, index: int) -> Image.Image:
        return Image.effect_noise((32, 32), 50 * (index + 1))

    def annotation(self, index: int) -> Annotation:
        return Annotation([np.repeat([[1, 0]], 2, 0)])


def test_a_layer_requested_twice_is_returned_twice() -> None:
    model = networks.dilated()
    dissections = LayerDissection(model, ["1", model[0], "1"]).dissect(
        Noise(), workers=0
    )
    assert isinstance(dissections, list)
    assert [dissection.layer for dissection in dissections] == ["1", "0", "1"]


def test_a_default_device() -> None:
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3))
    with torch.device("meta"):
        LayerDissection(model, "1").dissect(Noise(), workers=0)


def test_numbers_of_any_kind(tmp_path: Path) -> None:
    preprocess = Preprocess((np.int64(32), 32), mean=np.zeros(3), std=torch.ones(3))  # type: ignore[arg-type]
    dissection = LayerDissection(networks.dilated(), "0").dissect(
        Noise(),
        workers=0,
        quantile=np.float64(0.2),
        min_iou=np.float32(0.04),  # type: ignore[arg-type]
        limit=np.int64(1),  # type: ignore[arg-type]
        preprocess=preprocess,
    )
    assert isinstance(dissection, Dissection)
    assert dissection.settings.min_iou == 0.04
    dissection.save(tmp_path / "d")
    loaded = Dissection.load(tmp_path / "d")
    assert loaded.provenance.preprocess["mean"] == [0, 0, 0]


@pytest.mark.parametrize("size", [32, (32, 32, 3), ("a", 3)])
def test_sizes_that_are_none(size: object) -> None:
    with pytest.raises(BadInput):
        Preprocess(size)  # type: ignore[arg-type]


def test_arguments_of_a_wrong_type() -> None:
    layer_dissection = LayerDissection(networks.dilated(), "0")
    with pytest.raises(BadInput, match="preprocess is a Preprocess"):
        layer_dissection.dissect(Noise(), preprocess=lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="quantile 'much' is no number"):
        layer_dissection.dissect(Noise(), quantile="much")  # type: ignore[arg-type]


def test_progress_is_shown_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    LayerDissection(networks.dilated(), "0").dissect(
        Noise(), workers=0, show_progress=True
    )
    output = capsys.readouterr()
    assert output.out == ""
    assert "activations: 100%" in output.err
    assert "masks: 100%" in output.err
    # tqdm inverts the rate of a slow machine
    assert re.search("image/s|s/image", output.err)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_are_named(value: float) -> None:
    def spoil(x: Tensor) -> Tensor:
        x = x.repeat(1, 2, 1, 1).clone()
        x[:, 4, 7, 9] = value
        return x

    model = nn.Sequential(nn.Identity(), networks.Call(spoil))
    message = rf"layer '1', unit 4, image noise-1: the activation at row 7, column 9 is {value}"
    with pytest.raises(NonFiniteActivation, match=message):
        LayerDissection(model, "1").dissect(Noise(), workers=0)


def test_autocast_does_not_reach_the_counts() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()).double()
    plain = LayerDissection(model, "1").dissect(Noise(), workers=0, quantile=0.2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = LayerDissection(model, "0").dissect(Noise(), workers=0, quantile=0.2)
    assert isinstance(plain, Dissection) and isinstance(cast, Dissection)
    assert (
        plain.concept_area.tolist() == cast.concept_area.tolist() == [2 * 112 * 56]
    )
    assert cast.unit_area.sum() > 0
