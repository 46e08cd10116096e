"""Maps of several images: those that a layer joins, and rows that are no images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import helper
from small_models import model_of, random_weights

from nd_plugin import UnitsNotFound, open_model

SIZE = (32, 32)
RELU = helper.make_node("Relu", ["image"], ["relu"])


@pytest.mark.parametrize("opset", [9, 13])
def test_the_mask_of_a_dropout_is_no_layer(opset: int) -> None:
    node = helper.make_node("Dropout", ["image"], ["y", "mask"])
    file = model_of([node])
    file.opset_import[0].version = opset
    layers = open_model(file).layers(SIZE)
    assert [layer.name for layer in layers] == ["y"]


def test_a_layer_that_joins_two_images_is_listed_as_one_image_gives_it() -> None:
    # boxes of all anchors, in a file exported for one image
    nodes = [RELU, helper.make_node("Reshape", ["relu", "shape"], ["boxes"])]
    file = model_of(nodes, {"shape": np.array([1, 3, -1])}, (1, 3, *SIZE))
    model = open_model(file)
    layers = {layer.name: layer for layer in model.layers(SIZE)}
    assert layers["boxes"].shape == (1, 3, *SIZE)
    with model.probe(["boxes"], SIZE) as probe:
        assert probe(torch.zeros(2, 3, *SIZE))["boxes"].shape == (2, 3, *SIZE)


def test_rows_of_several_positions_are_no_features() -> None:
    # a recogniser's time steps in one axis with the images: (N * 8, C)
    lstm = helper.make_node("LSTM", ["steps", "w", "r"], ["y"], hidden_size=4)
    nodes = [
        helper.make_node("ReduceMean", ["image", "two"], ["line"], keepdims=0),
        helper.make_node("Transpose", ["line"], ["steps"], perm=[2, 0, 1]),
        lstm,
        helper.make_node("Reshape", ["y", "shape"], ["rows"]),
    ]
    weights = {
        "w": random_weights(1, 16, 3),
        "r": random_weights(1, 16, 4),
        "shape": np.array([-1, 4]),
        "two": np.array([2]),
    }
    model = open_model(model_of(nodes, weights))
    layers = {layer.name: layer for layer in model.layers(SIZE)}
    assert layers["rows"].shape is None
    assert "maps for" in layers["rows"].reason
    refusal = pytest.raises(UnitsNotFound, match="64 maps for 2 images")
    with refusal, model.probe(["rows"], SIZE):
        pass
