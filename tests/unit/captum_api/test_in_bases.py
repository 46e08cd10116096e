"""Layers in other bases by `LayerDissection`, and what stays the layer's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import ResNet18
from torch import Tensor

from nd_plugin import (
    BadInput,
    Dissection,
    LayerDissection,
    Model,
    SplitModel,
    in_bases,
    open_model,
)

SET = "shapes?images=16&size=64"
OPTIONS = {"quantile": 0.05, "workers": 0, "pictures": False}
UNITS = 8
ORDER = [3, 1, 7, 5, 0, 2, 6, 4]


@pytest.fixture(scope="module")
def net() -> ResNet18:
    torch.manual_seed(0)
    return ResNet18(width=UNITS).eval()


def dissect(model: Model, layer: str) -> Dissection:
    dissection = LayerDissection(model, layer).dissect(SET, **OPTIONS)  # type: ignore[arg-type]
    assert isinstance(dissection, Dissection)
    return dissection


def test_matrices_files_and_functions_beside_the_layer_itself(
    net: ResNet18, tmp_path: Path
) -> None:
    matrix = torch.eye(UNITS)[ORDER]
    np.savez(tmp_path / "permuted.npz", directions=matrix.numpy())

    def reversed_units(maps: Tensor) -> Tensor:
        return maps.flip(1)

    model = in_bases(
        net,
        matrix=matrix,
        file=tmp_path / "permuted.npz",
        function=reversed_units,
    )
    names = ["layer1", "layer1@matrix", "layer1@file", "layer1@function"]
    images: list[int] = []
    handle = net.layer1.register_forward_hook(
        lambda _, __, output: images.append(len(output))
    )
    layers = LayerDissection(model, names)
    own, *views = layers.dissect(SET, **OPTIONS)  # type: ignore[arg-type,misc]
    handle.remove()
    # beside it a few images, to open the probe
    assert images.count(16) == 1
    assert isinstance(own, Dissection)
    plain = dissect(open_model(net), "layer1")
    assert np.array_equal(own.intersection, plain.intersection)
    orders = (ORDER, ORDER, list(reversed(range(UNITS))))
    for name, view, order in zip(names[1:], views, orders, strict=True):
        assert isinstance(view, Dissection) and view.layer == name
        for array in ("thresholds", "intersection", "unit_area"):
            expected = getattr(own, array)[order]
            assert np.array_equal(getattr(view, array), expected)


def test_contributions_are_of_the_layers_own_units(net: ResNet18) -> None:
    model = in_bases(net, matrix=torch.eye(UNITS))
    assert isinstance(model, SplitModel)
    images = torch.randn(1, 3, 64, 64)
    own = LayerDissection(model, "layer1").attribute(images, target=2)
    plain = LayerDissection(net, "layer1").attribute(images, target=2)
    assert isinstance(own, Tensor) and isinstance(plain, Tensor)
    assert torch.allclose(own, plain)
    with pytest.raises(BadInput, match="of its own units: choose 'layer1'"):
        LayerDissection(model, "layer1@matrix").attribute(images, target=2)


def test_other_bases_are_other_models(net: ResNet18) -> None:
    def fingerprint(**bases: Tensor) -> str:
        return in_bases(net, **bases).identity.fingerprint

    matrix = torch.eye(UNITS)
    assert fingerprint(a=matrix) == fingerprint(a=matrix.clone())
    assert fingerprint(a=matrix) != fingerprint(b=matrix)
    assert fingerprint(a=matrix) != fingerprint(a=-matrix)
    assert fingerprint() == open_model(net).identity.fingerprint


def test_an_interrupted_dissection_is_not_continued_in_another_basis(
    net: ResNet18, tmp_path: Path
) -> None:
    def interrupted(maps: Tensor) -> Tensor:
        interrupted.batches += 1  # type: ignore[attr-defined]
        if interrupted.batches == 3:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return maps

    interrupted.batches = 0  # type: ignore[attr-defined]
    folder = tmp_path / "state"
    options = {**OPTIONS, "batch_size": 4, "checkpoint": folder}
    layer = LayerDissection(in_bases(net, b=interrupted), "layer1@b")
    with pytest.MonkeyPatch.context() as patch:
        module = "nd_plugin.resuming.checkpoint.IMAGES_BETWEEN_CHECKPOINTS"
        patch.setattr(module, 4)
        patch.setattr(module.replace("IMAGES", "SECONDS"), 0.0)
        with pytest.raises(KeyboardInterrupt):
            layer.dissect(SET, **options)  # type: ignore[arg-type]
    assert (folder / "state.npz").is_file()
    other = LayerDissection(in_bases(net, b=torch.eye(UNITS)), "layer1@b")
    with pytest.raises(BadInput, match=r"differs in model\.fingerprint"):
        other.dissect(SET, **options)  # type: ignore[arg-type]
    layer.dissect(SET, **options)  # type: ignore[arg-type]
    assert interrupted.batches < 2 * 4  # type: ignore[attr-defined]
