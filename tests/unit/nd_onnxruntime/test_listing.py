"""Lists of layers: what can be taken, and why the rest cannot; sizes and types of real files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, helper
from small_models import model_of, random_weights

from nd_onnxruntime.image_input import ImageInput
from nd_onnxruntime.survey import run_survey
from nd_onnxruntime.working_size import size_advice
from nd_plugin import ModelFailed, UnitsNotFound, open_model

SIZE = (32, 32)
RELU = helper.make_node("Relu", ["image"], ["relu"])
REASONS = {
    "largest": "holds integers or booleans, not floats",
    "bright": "holds integers or booleans, not floats",
    "pieces": "is not a tensor",
    "windows": "returns a tensor of shape (2, 3, 4, 8, 4, 8)",
    "average": "returns a tensor of shape ()",
}


def model_with_all_kinds() -> ModelProto:
    nodes = [
        RELU,
        helper.make_node("ArgMax", ["relu"], ["largest"], axis=1),
        helper.make_node("Greater", ["relu", "half"], ["bright"]),
        helper.make_node("SplitToSequence", ["relu"], ["pieces"], axis=1),
        helper.make_node("Reshape", ["relu", "split"], ["windows"]),
        helper.make_node("ReduceMean", ["relu"], ["average"], keepdims=0),
        helper.make_node("Shape", ["relu"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["relu", "zeros"], ["sum"]),
    ]
    weights = {
        "half": np.float32(0.5),
        "split": np.array([0, 3, 4, 8, 4, 8]),
    }
    return model_of(nodes, weights)


def test_say_why_a_value_has_no_units() -> None:
    listed = {
        layer.name: layer
        for layer in open_model(model_with_all_kinds()).layers(SIZE)
    }
    # what does not depend on pixels is left out: "shape", "zeros"
    assert listed.keys() == {"relu", "sum", *REASONS}
    for name in ("relu", "sum"):
        assert listed[name].shape == (1, 3, *SIZE) and listed[name].reason == ""
    for name, reason in REASONS.items():
        assert listed[name].shape is None and listed[name].geometry is None
        assert listed[name].reason.startswith(reason)
        assert "choose" not in listed[name].reason


@pytest.mark.parametrize("name", [*REASONS, "zeros"])
def test_what_has_no_units_is_refused_when_asked_for(name: str) -> None:
    model = open_model(model_with_all_kinds())
    with pytest.raises(UnitsNotFound) as raised, model.probe([name], SIZE):
        pass
    reason = REASONS.get(name, "does not depend on the image's pixels")
    assert f"layer {name!r} {reason}" in str(raised.value)


def test_give_layers_behind_a_custom_operator_the_reason() -> None:
    nodes = [
        RELU,
        helper.make_node("Conv", ["relu"], ["conv"], domain="mine"),
        helper.make_node("Abs", ["conv"], ["behind"]),
        helper.make_node("Abs", ["relu"], ["beside"]),
    ]
    model = open_model(model_of(nodes))
    with pytest.warns(UserWarning, match="mine:Conv may need --custom-op-library"):
        listed = {layer.name: layer for layer in model.layers(SIZE)}
    assert listed["conv"].kind == "mine:Conv"
    for name in ("conv", "behind"):
        assert listed[name].shape is None
        assert listed[name].reason == "mine:Conv may need --custom-op-library FILE"
    assert listed["beside"].shape == listed["relu"].shape == (1, 3, *SIZE)


def with_type(kind: int) -> ModelProto:
    """Build a model with one value and one weight of a type, between values of float32."""
    nodes = [
        RELU,
        helper.make_node("Cast", ["relu"], ["small"], to=kind),
        helper.make_node("Cast", ["small"], ["large"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["weight"], ["offset"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["large", "offset"], ["sum"]),
    ]
    weight = helper.make_tensor("weight", kind, [1], [0.0])
    return model_of(nodes, tensors=[weight])


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (TensorProto.BFLOAT16, 2**-8),
        (TensorProto.FLOAT8E4M3FN, 2**-4),
        (TensorProto.FLOAT8E5M2, 2**-3),
    ],
)
def test_floats_that_numpy_lacks_are_read_as_float32(
    kind: int, step: float
) -> None:
    model: Any = open_model(with_type(kind))
    assert [layer.shape for layer in model.layers(SIZE)] == [(1, 3, *SIZE)] * 2
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    with model.probe(["small", "sum"], SIZE) as probe:
        maps = probe(images)
        assert any("read as float32" in note for note in probe.notes)
        assert probe.geometries["small"] == probe.geometries["sum"]
    # rounded to the nearest of the type's few digits
    torch.testing.assert_close(maps["small"], images, rtol=step, atol=2**-10)
    assert not torch.equal(maps["small"], images)
    assert torch.equal(maps["small"], maps["sum"])
    outputs = model.outputs(images)
    with model.rest("small", [images]) as rest:
        assert torch.equal(rest(rest.layer(images), images), outputs)


def test_integers_that_numpy_lacks_are_refused() -> None:
    model = open_model(with_type(TensorProto.INT4))
    assert [layer.name for layer in model.layers(SIZE)] == ["relu", "sum"]
    with (
        pytest.raises(UnitsNotFound, match="'small' holds integers"),
        model.probe(["small"], SIZE),
    ):
        pass


def test_nodes_that_cannot_run_leave_the_layers_before_them() -> None:
    nodes = [
        RELU,
        helper.make_node("Cast", ["relu"], ["small"], to=TensorProto.BFLOAT16),
        helper.make_node("Erf", ["small"], ["computed"]),
        helper.make_node("Exp", ["small"], ["second"]),
        helper.make_node("Cast", ["computed"], ["large"], to=TensorProto.FLOAT),
        helper.make_node("Abs", ["large"], ["behind"]),
    ]
    listed = {
        layer.name: layer for layer in open_model(model_of(nodes)).layers(SIZE)
    }
    assert listed["relu"].shape == (1, 3, *SIZE)
    assert "no implementation of Erf" in listed["behind"].reason
    assert "no implementation of Erf" in listed["computed"].reason
    assert "no implementation of Exp" in listed["second"].reason


@pytest.mark.parametrize("length", [-1, 0])
def test_lengths_that_are_not_positive_stand_for_any(length: int) -> None:
    node = helper.make_node("Conv", ["image", "w"], ["y"], strides=(2, 2))
    model = model_of([node], {"w": random_weights(4, 3, 1, 1)})
    for axis in (0, 2, 3):
        sides = model.graph.input[0].type.tensor_type.shape.dim
        sides[axis].dim_value = length
    opened = open_model(model)
    assert opened.preprocess.size == (224, 224)
    for size in ((32, 48), (64, 32)):
        (layer,) = opened.layers(size)
        assert layer.shape == (1, 4, size[0] // 2, size[1] // 2)
    with opened.probe(["y"], SIZE) as probe:
        assert len(probe(torch.zeros(3, 3, *SIZE))["y"]) == 3


def one_height_only(height: int | str) -> ModelProto:
    """Build a recogniser of lines of text: it works for 48 rows only."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["conv"], strides=(8, 8)),
        helper.make_node("Reshape", ["conv", "shape"], ["tokens"]),
        helper.make_node("Add", ["tokens", "places"], ["y"]),
    ]
    weights = {
        "w": random_weights(4, 3, 8, 8),
        "shape": np.array([0, 24, 40]),
        "places": np.ones((24, 1), np.float32),
    }
    return model_of(nodes, weights, ("N", 3, height, "W"))


def test_a_model_for_another_size_says_which() -> None:
    model = open_model(one_height_only("H"))
    with pytest.raises(ModelFailed) as raised:
        model.layers((31, 224))
    message = str(raised.value)
    assert "--input-size 48x320, on which it runs" in message
    assert "31x224" in message and "onnxruntime_src" not in message
    assert [layer.name for layer in model.layers((48, 320))] == [
        "conv",
        "tokens",
        "y",
    ]


def test_no_size_is_named_where_none_works_or_none_is_open() -> None:
    open_size = ImageInput("image", torch.float32, False, "N", (64, None))
    asked: list[tuple[int, int]] = []

    def fails(size: tuple[int, int]) -> bool:
        asked.append(size)
        return False

    advice = size_advice(open_size, (64, 64), fails)
    assert "--input-size HEIGHTxWIDTH)" in advice
    assert asked and all(size[0] == 64 and size != (64, 64) for size in asked)
    fixed = ImageInput("image", torch.float32, False, "N", (64, 64))
    assert size_advice(fixed, (64, 64), fails) == ""


RANDOM_NODES = {
    "dropout": helper.make_node("Dropout", ["relu", "ratio", "true"], ["y"]),
    "seeded dropout": helper.make_node(
        "Dropout", ["relu", "ratio", "true"], ["y"], seed=1
    ),
    "noise": helper.make_node("RandomNormalLike", ["relu"], ["noise"]),
    "uniform noise": helper.make_node(
        "RandomUniform", [], ["noise"], shape=(1, 3, 1, 1)
    ),
    "coins": helper.make_node("Bernoulli", ["relu"], ["noise"]),
}


@pytest.mark.parametrize("name", RANDOM_NODES)
def test_a_random_layer_is_unreliable_and_those_before_it_are_not(
    name: str,
) -> None:
    nodes = [RELU, RANDOM_NODES[name]]
    if "noise" in nodes[-1].output:
        nodes.append(helper.make_node("Add", ["relu", "noise"], ["y"]))
    weights = {"ratio": np.float32(0.5), "true": np.array(True)}
    model: Any = open_model(model_of(nodes, weights))
    with model.probe(["relu", "y"], SIZE) as probe:
        (reason,) = probe.unreliable
        assert reason.startswith("layer 'y': two runs")
        assert not probe.singly  # it is not the batch that matters
    with model.probe(["relu"], SIZE) as probe:
        assert probe.unreliable == ()


def test_dropout_at_rest_is_reliable() -> None:
    node = helper.make_node("Dropout", ["image", "ratio"], ["y"])
    model: Any = open_model(model_of([node], {"ratio": np.float32(0.5)}))
    with model.probe(["y"], SIZE) as probe:
        assert probe.unreliable == ()


def test_a_layer_before_a_value_that_numpy_lacks_does_not_need_it() -> None:
    model: Any = open_model(with_type(TensorProto.BFLOAT16))
    surveyed = run_survey(model.loaded, ["relu"], SIZE)
    assert surveyed.unread_types == {}
    assert surveyed.pixel_values == {"image", "relu"}
