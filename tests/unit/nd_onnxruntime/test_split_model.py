"""ONNX models cut at a layer: contributions without gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx_files
import pytest
import torch

from nd_plugin import BadInput, LayerDissection, LinearHead, open_model

Make = Callable[[Path], Path]


def images_of(path: Path, count: int = 3) -> torch.Tensor:
    return torch.from_numpy(onnx_files.draw_images(path, count, 5)).float()


def logits(path: Path, images: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(
        onnx_files.inner_values(path, images.numpy(), ["logits"])["logits"]
    )


@pytest.mark.parametrize(
    "make",
    [onnx_files.dynamic_batch, onnx_files.fixed_batch, onnx_files.external_data],
)
def test_linear_contributions_and_bias_are_the_output(
    tmp_path: Path, make: Make
) -> None:
    path = make(tmp_path)
    images = images_of(path)
    units, target = LayerDissection(str(path), "relu2"), [0, 3, 4]
    attributions = units.attribute(images, target)
    assert units.contribution == "linear" and attributions.shape == (3, 12, 8, 8)
    model: Any = open_model(str(path))
    head = model.linear_head("relu2", (images,))
    assert isinstance(head, LinearHead) and head.weight.shape == (5, 12)
    predicted = attributions.sum((1, 2, 3)) + head.bias[target]
    torch.testing.assert_close(
        predicted, logits(path, images)[range(3), target], rtol=1e-4, atol=1e-5
    )


def test_ablation_is_what_a_linear_head_says(tmp_path: Path) -> None:
    path = onnx_files.dynamic_batch(tmp_path)
    images, units = images_of(path), LayerDissection(str(path), "relu2")
    linear = units.attribute(images, 2, contribution="linear").sum((2, 3))
    ablation = units.attribute(images, 2, contribution="ablation").sum((2, 3))
    assert units.contribution == "ablation" and linear.abs().max() > 0.01
    torch.testing.assert_close(ablation, linear, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (onnx_files.dynamic_batch, "relu1"),
        (onnx_files.nhwc, "relu2_nhwc"),
        (onnx_files.fixed_batch_inside, "relu1"),
        (onnx_files.mixing_batch, "relu2"),
        (onnx_files.with_if, "relu1"),
        (onnx_files.uint8_nhwc_input, "relu2"),
    ],
)
def test_the_rest_of_what_a_layer_gave_is_the_models_output(
    tmp_path: Path, make: Make, layer: str
) -> None:
    path = make(tmp_path)
    images = images_of(path)
    model: Any = open_model(str(path))
    with model.rest(layer, (images,)) as rest:
        value = rest.layer(images)
        outputs = rest(value.clone(), images)
        nothing = rest(torch.zeros_like(value), images)
    torch.testing.assert_close(outputs, logits(path, images), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(outputs, model.outputs(images), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(nothing, outputs, atol=1e-3), (
        "what replaces the layer's output counts"
    )


def test_one_image_stands_for_all_rows(tmp_path: Path) -> None:
    path = onnx_files.with_if(tmp_path)
    images = images_of(path, 1)
    model: Any = open_model(str(path))
    with model.rest("relu1", (images,)) as rest:
        rows = torch.cat([rest.layer(images) * factor for factor in (1, 0, 2)])
        batched = rest(rows, images)
        singles = torch.cat([rest(row[None], images) for row in rows])
    torch.testing.assert_close(batched, singles, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["relu1", "conv2"])
def test_no_linear_head_is_assumed(tmp_path: Path, layer: str) -> None:
    path = onnx_files.dynamic_batch(tmp_path)
    with pytest.raises(
        BadInput,
        match=r"no global average pooling .* possible are ablation, activation",
    ):
        LayerDissection(str(path), layer).attribute(
            images_of(path), 0, contribution="linear"
        )


def test_there_are_no_gradients(tmp_path: Path) -> None:
    path = onnx_files.dynamic_batch(tmp_path)
    with pytest.raises(
        BadInput,
        match="the model has no gradients; possible are linear, ablation, activation",
    ):
        LayerDissection(str(path), "relu2").attribute(
            images_of(path), 0, contribution="gradient"
        )


def test_an_onnx_model_takes_one_tensor_of_images(tmp_path: Path) -> None:
    path = onnx_files.dynamic_batch(tmp_path)
    images = images_of(path)
    with pytest.raises(BadInput, match="one tensor of images"):
        LayerDissection(str(path), "relu2").attribute(
            (images, images), 0, contribution="ablation"
        )
