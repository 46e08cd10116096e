"""Operators: a domain and a name, never the name alone; channels-last and transposed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as runtime
import pytest
import torch
from onnx import NodeProto, helper
from small_models import model_of, random_weights

from nd_onnxruntime import operators, quantised, rules
from nd_onnxruntime.document import Document
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.head import HeadReader
from nd_onnxruntime.module_runs import parameter_owners
from nd_onnxruntime.operation import Operation
from nd_onnxruntime.operators import operator_of
from nd_onnxruntime.rules import output_positions
from nd_onnxruntime.survey import run_survey
from nd_plugin import Axis, Geometry, ModelOptions, Positions, open_model

SIZE = (32, 32)
MAPS = torch.Size((1, 3, 32, 32))


def operation(node: NodeProto) -> Operation:
    """Build an operation on an image that keeps its shape."""
    return Operation(
        node,
        input_shapes=[MAPS, torch.Size((3, 3, 1, 1))],
        input_positions=[Positions.of_input(MAPS), None],
        input_values=[None, None],
        output_shapes=[MAPS],
        output_index=0,
    )


@pytest.mark.parametrize("kind", ["Conv", "Relu", "Identity", "SpaceToDepth"])
def test_of_another_domain_have_no_rule(kind: str) -> None:
    attributes: dict[str, Any] = {"blocksize": 1} if kind == "SpaceToDepth" else {}
    for domain, has_rule in (("", True), ("ai.onnx", True), ("mine", False)):
        node = helper.make_node(
            kind, ["image", "w"], ["y"], domain=domain, **attributes
        )
        positions = output_positions(operation(node))
        assert (positions is not None) == has_rule


@pytest.mark.parametrize(("domain", "is_known"), [("", True), ("mine", False)])
def test_of_another_domain_are_no_linear_heads_and_own_no_weights(
    domain: str, is_known: bool
) -> None:
    node = helper.make_node("Gemm", ["image", "fc.weight"], ["y"], domain=domain)
    model = model_of([node], {"fc.weight": random_weights(4, 3)})
    graph = Graph(model)
    weights = HeadReader(Document("small", model, {}), graph).read("image")
    assert (weights is not None) == is_known
    assert parameter_owners(graph, 0) == (["fc"] if is_known else [])


@pytest.mark.parametrize(
    ("domain", "has_scale"), [("com.microsoft", True), ("mine", False)]
)
def test_of_another_domain_have_no_scale(domain: str, has_scale: bool) -> None:
    inputs = ["image", "s", "z", "image", "s", "z", "s", "z"]
    node = helper.make_node("QLinearAdd", inputs, ["y"], domain=domain)
    exposed = quantised.expose(Graph(model_of([node])), "y")
    assert (exposed.name != "y") == has_scale


def test_of_another_domain_are_no_constants_and_no_shapes() -> None:
    tensor = onnx.numpy_helper.from_array(np.zeros(1, np.float32))
    node = helper.make_node("Constant", [], ["y"], domain="mine", value=tensor)
    assert Graph(model_of([node])).initializers == {}
    shape = helper.make_node("Shape", ["image"], ["y"], domain="mine")
    assert operator_of(shape) == "mine:Shape"


def test_that_rules_name_exist_in_their_domains() -> None:
    known = {
        operators.qualified(schema.domain, schema.name)
        for schema in runtime.get_all_operator_schema()
    }
    assert set(rules.ANY_INPUT_RULES) | set(rules.FIRST_INPUT_RULES) <= known
    assert set(quantised.SCALE_INPUTS) <= known


def test_without_a_rule_leave_values_without_positions() -> None:
    """Which axis of such values holds the units must not follow from their operands."""
    nodes = [
        helper.make_node("Relu", ["image"], ["relu"]),
        helper.make_node("Einsum", ["relu"], ["turned"], equation="nchw->nhwc"),
        helper.make_node("Mul", ["relu", "zero"], ["zeros"]),
        helper.make_node("ScatterND", ["zeros", "index", "row"], ["scattered"]),
        helper.make_node("GatherND", ["relu", "index"], ["gathered"]),
    ]
    weights = {
        "zero": np.float32(0),
        "index": np.zeros((1, 1), np.int64),
        "row": np.zeros((1, 3, *SIZE), np.float32),
    }
    model: Any = open_model(model_of(nodes, weights))
    surveyed = run_survey(model.loaded, ["turned", "scattered", "gathered"], SIZE)
    assert {"turned", "scattered", "gathered"} <= surveyed.shapes.keys()
    assert surveyed.positions.keys() == {"image", "relu", "zeros"}


def quantised_nodes(channels_last: bool) -> list[NodeProto]:
    """Return quantised operators, those of ONNX Runtime on channels-last maps or ONNX's own."""
    domain = "com.microsoft" if channels_last else ""
    attributes: dict[str, Any] = {"channels_last": 1} if channels_last else {}
    scale = ["scale", "zero"]
    windows: dict[str, Any] = {"strides": (2, 2), "pads": (1, 1, 0, 0)}
    conv_inputs = ["integers", *scale, "w", *scale, *scale]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", *scale], ["quantised"]),
        helper.make_node(
            "Transpose",
            ["quantised"],
            ["integers"],
            perm=(0, 2, 3, 1) if channels_last else (0, 1, 2, 3),
        ),
        helper.make_node(
            "QLinearConv", conv_inputs, ["conv"], domain=domain,
            kernel_shape=(3, 3), **windows, **attributes,
        ),
        helper.make_node(
            "NhwcMaxPool" if channels_last else "MaxPool", ["conv"], ["largest"],
            domain=domain, kernel_shape=(2, 2), strides=(2, 2),
        ),
        helper.make_node(
            "QLinearAveragePool", ["largest", *scale, *scale], ["average"],
            domain="com.microsoft", kernel_shape=(3, 3), pads=(1, 1, 1, 1), **attributes,
        ),
    ]  # fmt: skip
    return nodes


@pytest.mark.parametrize("value", ["conv", "largest", "average"])
def test_on_channels_last_maps_give_what_those_on_maps_give(value: str) -> None:
    maps, geometries = [], []
    weights = {
        "scale": np.float32(0.02),
        "zero": np.uint8(0),
        "w": np.random.default_rng(0).integers(0, 20, (4, 3, 3, 3), np.uint8),
    }
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    for channels_last in (False, True):
        model = model_of(quantised_nodes(channels_last), weights, ("N", 3, 32, 48))
        with open_model(model).probe([value], (32, 48)) as probe:
            maps.append(probe(images)[value])
            geometries.append(probe.geometries[value])
    assert maps[0].shape[1] == 4 and torch.equal(*maps)
    assert geometries[0] == geometries[1] and geometries[0].anchored


def test_the_summand_of_a_fused_convolution_is_a_branch() -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["wide"], pads=(1, 1, 1, 1)),
        helper.make_node(
            "FusedConv", ["wide", "w", "", "image"], ["y"],
            domain="com.microsoft", kernel_shape=(3, 3), pads=(1, 1, 1, 1),
        ),
    ]  # fmt: skip
    model: Any = open_model(model_of(nodes, {"w": random_weights(3, 3, 3, 3)}))
    plain = [
        nodes[0],
        helper.make_node("Conv", ["wide", "w"], ["c"], pads=(1, 1, 1, 1)),
        helper.make_node("Add", ["c", "image"], ["y"]),
    ]
    plain_model: Any = open_model(
        model_of(plain, {"w": random_weights(3, 3, 3, 3)})
    )
    surveys = [
        run_survey(each.loaded, ["y"], SIZE).positions["y"].map()
        for each in (model, plain_model)
    ]
    assert surveys[0] == surveys[1] is not None


@pytest.mark.parametrize(
    ("kind", "domain"), [("Gemm", ""), ("FusedMatMul", "com.microsoft")]
)
def test_a_transposed_product_sums_over_the_first_axis(
    kind: str, domain: str
) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image", "channels"], ["grey"]),
        helper.make_node("Reshape", ["grey", "rows"], ["matrix"]),
        helper.make_node(kind, ["matrix", "w"], ["y"], domain=domain, transA=1),
    ]
    weights = {
        "channels": np.array([1]),
        "rows": np.array([32, 32]),
        "w": random_weights(32, 5),
    }
    model: Any = open_model(model_of(nodes, weights, (1, 3, 32, 32)))
    positions = run_survey(model.loaded, ["y"], SIZE).positions["y"]
    assert positions.columns.flatten().tolist() == list(range(32))
    assert set(positions.rows.flatten().tolist()) == {15.5}


def test_a_reduction_over_no_axes_keeps_positions() -> None:
    node = helper.make_node("ReduceMean", ["image"], ["y"], noop_with_empty_axes=1)
    with open_model(model_of([node])).probe(["y"], SIZE) as probe:
        assert probe.geometries["y"] == Geometry(Axis(), Axis())


def test_of_another_device_are_refused_with_the_reason() -> None:
    nodes = [
        helper.make_node("Transpose", ["image"], ["last"], perm=(0, 2, 3, 1)),
        helper.make_node(
            "Conv", ["last", "w"], ["y"],
            domain="com.ms.internal.nhwc", kernel_shape=(1, 1),
        ),
        helper.make_node("Relu", ["y"], ["relu"]),
    ]  # fmt: skip
    model = open_model(
        model_of(nodes, {"w": random_weights(4, 3, 1, 1)}), ModelOptions()
    )
    last, conv, relu = model.layers(SIZE)
    assert last.shape == (1, 3, 32, 32) and last.reason == ""
    for layer in (conv, relu):
        assert layer.shape is None
        assert "no implementation of Conv" in layer.reason
