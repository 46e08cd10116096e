"""Surveys: values that rules read, sizes of groups, errors of rules."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_files
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nd_onnxruntime import fetching, survey
from nd_onnxruntime.document import parse
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.recorded_values import RecordedValues, record_constants
from nd_onnxruntime.survey import Survey, run_survey
from nd_plugin import ModelOptions, open_model

SIZE = (8, 8)
ROWS = [1, 3, 5]


def constant(name: str, **attribute: Any) -> NodeProto:
    return helper.make_node("Constant", [], [name], **attribute)


def model_of(
    nodes: list[NodeProto],
    initializers: dict[str, np.ndarray] | None = None,
    inputs: dict[str, tuple[int, list[Any]]] | None = None,
) -> onnx.ModelProto:
    """Build a model whose last node computes its output."""
    image = helper.make_tensor_value_info(
        "image", TensorProto.FLOAT, ["N", 3, *SIZE]
    )
    further = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, (kind, shape) in (inputs or {}).items()
    ]
    tensors = [
        numpy_helper.from_array(array, name)
        for name, array in (initializers or {}).items()
    ]
    output = onnx.ValueInfoProto(name=nodes[-1].output[0])
    graph = helper.make_graph(
        nodes, "graph", [image, *further], [output], initializer=tensors
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def surveyed(source: Any, names: list[str], **options: Any) -> Survey:
    model: Any = open_model(source, ModelOptions(input="image", **options))
    return run_survey(model.loaded, names, SIZE)


def gather_rows(indices: str) -> NodeProto:
    return helper.make_node("Gather", ["image", indices], ["rows"], axis=2)


def rows_of(survey: Survey) -> list[float]:
    """Return the rows of the image at which the gathered cells are."""
    return survey.positions["rows"].rows[0, 0, :, 0].tolist()


def recorded_constants(model: onnx.ModelProto) -> RecordedValues:
    return record_constants(parse(model, b""), Graph(model))


class TestConstants:
    @pytest.mark.parametrize(
        ("attribute", "expected"),
        [
            ({"value_int": 0}, np.array(0, np.int64)),
            ({"value_int": 7}, np.array(7, np.int64)),
            ({"value_ints": [1, 2]}, np.array([1, 2], np.int64)),
            ({"value_float": 0.0}, np.array(0, np.float32)),
            ({"value_floats": [0.5]}, np.array([0.5], np.float32)),
            ({"value": numpy_helper.from_array(np.arange(3))}, np.arange(3)),
        ],
    )
    def test_have_the_types_of_their_attributes(
        self, attribute: dict[str, Any], expected: np.ndarray
    ) -> None:
        value = recorded_constants(model_of([constant("c", **attribute)]))
        found = value.small_values["c"]
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert np.array_equal(found, expected)
        assert value.shapes["c"] == expected.shape

    def test_may_be_empty(self) -> None:
        node = constant("c", value_ints=[1])
        node.attribute[0].ints.pop()
        found = recorded_constants(model_of([node])).small_values["c"]
        assert (found.dtype, found.shape) == (np.int64, (0,))

    def test_of_texts_and_sparse_tensors_have_no_numbers(self) -> None:
        values = numpy_helper.from_array(np.ones(1, np.float32), "values")
        indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
        sparse = helper.make_sparse_tensor(values, indices, [4])
        for attribute in ({"value_string": "a"}, {"sparse_value": sparse}):
            recorded = recorded_constants(model_of([constant("c", **attribute)]))
            assert recorded.small_values == {} and recorded.shapes == {}

    def test_in_a_file_beside_the_model_have_numbers(self, tmp_path: Path) -> None:
        model = model_of([gather_rows("indices")], {"indices": np.array(ROWS)})
        path = tmp_path / "external.onnx"
        onnx.save_model(
            model,
            path,
            save_as_external_data=True,
            location="data",
            size_threshold=0,
        )
        assert rows_of(surveyed(str(path), ["rows"])) == ROWS


class TestNumbers:
    def test_of_feeds_are_recorded(self, tmp_path: Path) -> None:
        model = model_of(
            [gather_rows("fed")], inputs={"fed": (TensorProto.INT64, [3])}
        )
        np.save(tmp_path / "fed.npy", np.array(ROWS))
        feeds = {"fed": str(tmp_path / "fed.npy")}
        assert rows_of(surveyed(model, ["rows"], feeds=feeds)) == ROWS

    def test_that_depend_on_pixels_are_not_taken_for_constants(self) -> None:
        nodes = [
            constant("axes", value_ints=[0, 1, 3]),
            helper.make_node("ReduceSum", ["image", "axes"], ["sums"], keepdims=0),
            constant("three", value_ints=[3]),
            helper.make_node("TopK", ["sums", "three"], ["top", "indices"]),
            gather_rows("indices"),
        ]
        assert "rows" not in surveyed(model_of(nodes), ["rows"]).positions

    def test_that_depend_on_the_shape_of_the_image_are_constants(self) -> None:
        nodes = [
            helper.make_node("Shape", ["image"], ["shape"]),
            constant("three", value_int=3),
            helper.make_node("Gather", ["shape", "three"], ["columns"]),
            constant("seven", value_ints=[7, 5, 3]),
            helper.make_node("Sub", ["columns", "seven"], ["indices"]),
            gather_rows("indices"),
        ]
        assert rows_of(surveyed(model_of(nodes), ["rows"])) == ROWS


def test_integers_of_no_declared_shape_are_expected_to_be_small() -> None:
    assert fetching._expected_bytes("tensor(int64)", []) == 2**15
    assert fetching._expected_bytes("tensor(float)", []) == fetching.ASSUMED_BYTES
    assert (
        fetching._expected_bytes("tensor(float)", ["N", 3])
        == fetching.ASSUMED_BYTES
    )
    assert fetching._expected_bytes("tensor(float)", [2, 3]) == 24


def test_scalars_do_not_divide_a_survey_into_many_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes = [helper.make_node("Shape", ["image"], ["shape"])]
    for number in range(100):
        nodes.append(constant(f"index{number}", value_int=number % 4))
        nodes.append(
            helper.make_node(
                "Gather", ["shape", f"index{number}"], [f"side{number}"]
            )
        )
    names = [f"side{number}" for number in range(100)]
    model: Any = open_model(model_of(nodes), ModelOptions(input="image"))
    runs = []
    run = fetching._run

    def counted(*arguments: Any) -> Any:
        runs.append(arguments)
        return run(*arguments)

    monkeypatch.setattr(fetching, "_run", counted)
    run_survey(model.loaded, names, SIZE)
    assert len(runs) == 1


def test_a_survey_of_no_values_is_empty(tmp_path: Path) -> None:
    model: Any = open_model(str(onnx_files.dynamic_batch(tmp_path)))
    assert run_survey(model.loaded, [], (32, 32)) == Survey({}, {}, {}, 2)


def test_an_error_of_a_rule_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(operation: Any) -> None:
        raise IndexError("axis 7")

    monkeypatch.setattr(survey, "output_positions", fail)
    model = model_of([gather_rows("indices")], {"indices": np.array(ROWS)})
    with caplog.at_level(logging.DEBUG, "nd_onnxruntime.survey"):
        assert "rows" not in surveyed(model, ["rows"]).positions
    assert (
        "the rule of Gather does not cover node 'rows': IndexError: axis 7"
        in caplog.text
    )
