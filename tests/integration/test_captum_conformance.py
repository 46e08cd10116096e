"""Captum's own conformance tests, with `LayerDissection` in place of `LayerGradientXActivation`.

The rows are those of captum.testing.attr.helpers.test_config. What is done with them follows
Captum's tests/attr/test_hook_removal.py, test_targets.py, test_data_parallel.py and
layer/test_layer_gradient_x_activation.py (BSD 3-Clause, Copyright (c) 2019, PyTorch team), the
expected values of the last one included.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from captum._utils.common import _format_additional_forward_args
from captum.attr import LayerActivation, LayerGradientXActivation
from captum.attr._models.base import _set_deep_layer_value
from captum.testing.attr.helpers.gen_test_utils import get_target_layer
from captum.testing.attr.helpers.test_config import config
from captum.testing.helpers.basic_models import (
    BasicEmbeddingModel,
    BasicModel_MultiLayer,
    BasicModel_MultiLayer_MultiInput,
)
from torch import Tensor, nn

from nd_plugin import BadInput, LayerDissection

ROWS = [row for row in config if LayerGradientXActivation in row["algorithms"]]
TARGET_ROWS = [
    row
    for row in ROWS
    if isinstance(row["attribute_args"].get("target"), list | Tensor)
]
by_name = pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])


def unpacked(row: dict[str, Any]) -> tuple[nn.Module, Any, dict[str, Any]]:
    """Copy a row's model, layer or layers, and arguments: none is shared with another test."""
    return (
        copy.deepcopy(row["model"]),
        row["layer"],
        copy.deepcopy(row["attribute_args"]),
    )


def flat(attributions: Any) -> list[Tensor]:
    """Return the tensors of attributions in whatever form."""
    if isinstance(attributions, Tensor):
        return [attributions]
    tensors = []
    for entry in attributions:
        tensors += flat(entry)
    return tensors


def assert_same(attributions: Any, expected: Any, delta: float = 1e-4) -> None:
    """Compare within Captum's own tolerance, and some roundings of float32 for large values."""
    assert type(attributions) is type(expected)
    torch.testing.assert_close(
        flat(attributions), flat(expected), rtol=1e-6, atol=delta
    )


def assert_no_hooks(model: nn.Module) -> None:
    for module in model.modules():
        assert (
            not module._forward_hooks
            and not module._forward_pre_hooks
            and not module._backward_hooks
        )
    assert (
        not nn.modules.module._global_forward_hooks
        and not nn.modules.module._global_forward_pre_hooks
    )


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, *_: Any) -> None:
        raise AssertionError("Raising error on execution")


def test_captum_ships_its_rows() -> None:
    assert len(ROWS) >= 8 and len(TARGET_ROWS) >= 3
    assert any(isinstance(row["layer"], list) for row in ROWS)


@by_name
@pytest.mark.parametrize("mode", ["normal", "incorrect_target", "invalid_module"])
def test_hook_removal(row: dict[str, Any], mode: str) -> None:
    model, layer, arguments = unpacked(row)
    if mode == "invalid_module":
        _set_deep_layer_value(
            model, layer[0] if isinstance(layer, list) else layer, Failing()
        )
    if mode == "incorrect_target":
        arguments["target"] = (9999,) * 20
    units = LayerDissection(model, get_target_layer(model, layer))
    if mode == "normal":
        units.attribute(**arguments)
    else:
        with pytest.raises(AssertionError):
            units.attribute(**arguments)
    assert_no_hooks(model)


@by_name
def test_values(row: dict[str, Any]) -> None:
    model, layer, arguments = unpacked(row)
    modules = get_target_layer(model, layer)
    expected = LayerGradientXActivation(model, modules).attribute(**arguments)
    assert_same(LayerDissection(model, modules).attribute(**arguments), expected)
    # by name
    assert_same(LayerDissection(model, layer).attribute(**arguments), expected)
    gradients = LayerGradientXActivation(
        model, modules, multiply_by_inputs=False
    ).attribute(**arguments)
    assert_same(
        LayerDissection(model, modules, multiply_by_inputs=False).attribute(
            **arguments
        ),
        gradients,
    )
    activations = LayerActivation(model, modules).attribute(
        arguments["inputs"], arguments.get("additional_forward_args")
    )
    assert_same(
        LayerDissection(model, modules).attribute(
            **arguments, contribution="activation"
        ),
        activations,
    )


@by_name
def test_values_at_the_layers_input(row: dict[str, Any]) -> None:
    model, layer, arguments = unpacked(row)
    modules = get_target_layer(model, layer)
    expected = LayerGradientXActivation(model, modules).attribute(
        **arguments, attribute_to_layer_input=True
    )
    found = LayerDissection(model, modules).attribute(
        **arguments, attribute_to_layer_input=True
    )
    assert_same(found, expected)
    assert_no_hooks(model)


@by_name
def test_data_parallel(row: dict[str, Any]) -> None:
    model, layer, arguments = unpacked(row)
    modules = get_target_layer(model, layer)
    expected = LayerDissection(model, modules).attribute(**arguments)
    parallel = nn.DataParallel(model)
    names = (
        [f"module.{name}" for name in layer]
        if isinstance(layer, list)
        else f"module.{layer}"
    )
    assert_same(LayerDissection(parallel, modules).attribute(**arguments), expected)
    assert_same(LayerDissection(parallel, names).attribute(**arguments), expected)
    assert_same(
        LayerDissection(parallel.forward, modules, device_ids=[0]).attribute(
            **arguments
        ),
        expected,
    )


@pytest.mark.parametrize("row", TARGET_ROWS, ids=lambda row: row["name"])
def test_targets(row: dict[str, Any]) -> None:
    model, layer, arguments = unpacked(row)
    units = LayerDissection(model, get_target_layer(model, layer))
    inputs, targets = arguments["inputs"], arguments["target"]
    whole = units.attribute(**arguments)
    for example in range(len(inputs)):
        single = {**arguments, "inputs": inputs[example : example + 1]}
        further = _format_additional_forward_args(
            arguments.get("additional_forward_args")
        )
        if further is not None:
            single["additional_forward_args"] = tuple(
                item[example : example + 1] if isinstance(item, Tensor) else item
                for item in further
            )
        for target in (targets[example], targets[example : example + 1]):
            assert_same(
                units.attribute(**{**single, "target": target}),
                whole[example : example + 1],
            )


VALUES: list[tuple[str, dict[str, Any], Any, list[list[float]], Any, Any]] = [
    ("input", {}, "linear0", [[0.0, 100.0, 0.0]], None, [[0.0, 400.0, 0.0]]),
    (
        "linear",
        {},
        "linear1",
        [[0.0, 100.0, 0.0]],
        None,
        [[90.0, 101.0, 101.0, 101.0]],
    ),
    (
        "several layers",
        {},
        ["linear0", "linear1"],
        [[0.0, 100.0, 0.0]],
        None,
        [[[0.0, 400.0, 0.0]], [[90.0, 101.0, 101.0, 101.0]]],
    ),
    (
        "tuple",
        {"multi_input_module": True},
        "multi_relu",
        [[3.0, 4.0, 0.0]],
        None,
        ([[0.0, 8.0, 8.0, 8.0]], [[0.0, 8.0, 8.0, 8.0]]),
    ),
    ("relu", {}, "relu", [[3.0, 4.0, 0.0]], None, [[0.0, 8.0, 8.0, 8.0]]),
    (
        "relu in place",
        {"inplace": True},
        "relu",
        [[3.0, 4.0, 0.0]],
        None,
        [[0.0, 8.0, 8.0, 8.0]],
    ),
    ("output", {}, "linear2", [[0.0, 100.0, 0.0]], None, [[392.0, 0.0]]),
]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("case", VALUES, ids=lambda case: case[0])
def test_values_computed_by_hand(case: Any, frozen: bool) -> None:
    _, options, layer, inputs, further, expected = case
    model = BasicModel_MultiLayer(**options)
    model.requires_grad_(not frozen)
    with torch.set_grad_enabled(not frozen):
        found = LayerDissection(model, get_target_layer(model, layer)).attribute(
            torch.tensor(inputs), 0, further
        )
    if isinstance(layer, list):
        expected = [torch.tensor(values) for values in expected]
    elif isinstance(expected, tuple):
        expected = tuple(torch.tensor(values) for values in expected)
    else:
        expected = torch.tensor(expected)
    assert_same(found, expected, delta=0.01)


def test_several_inputs_and_further_arguments() -> None:
    model = BasicModel_MultiLayer_MultiInput()
    one, two, three = (
        torch.tensor([[0.0, value, 0.0]]) for value in (10.0, 10.0, 5.0)
    )
    found = LayerDissection(model, model.model.linear2).attribute(
        (one, two, three), 0, (4,)
    )
    assert_same(found, torch.tensor([[392.0, 0.0]]), delta=0.01)


def test_an_embedding() -> None:
    model = BasicEmbeddingModel()
    inputs = torch.tensor([2, 5, 0, 1]), torch.tensor([3, 0, 0, 2])
    found = LayerDissection(model, model.embedding1).attribute(inputs=inputs)
    expected = LayerGradientXActivation(model, model.embedding1).attribute(
        inputs=inputs
    )
    assert found.shape == (4, 100)
    assert_same(found, expected)


def test_a_layer_that_the_output_does_not_depend_on() -> None:
    model = BasicModel_MultiLayer(multi_input_module=True)
    inputs = torch.tensor([[3.0, 4.0, 0.0]], requires_grad=True)
    units = LayerDissection(model, [model.linear1, model.relu])
    first, second = units.attribute(
        inputs, target=0, grad_kwargs={"materialize_grads": True}
    )
    assert first.shape == (1, 4) and torch.equal(second, torch.zeros(1, 4))


def test_what_captum_says_of_a_method() -> None:
    model = BasicModel_MultiLayer()
    units = LayerDissection(model, None)
    assert units.multiplies_by_inputs and not units.has_convergence_delta()
    assert not LayerDissection(
        model, model.relu, multiply_by_inputs=False
    ).multiplies_by_inputs
    assert hasattr(LayerDissection.attribute, "__wrapped__"), "log_usage wraps it"
    with pytest.raises(BadInput, match="no layer"):
        units.attribute(torch.zeros(1, 3), 0)
    units.layer = model.relu
    assert units.attribute(torch.zeros(1, 3), 0).shape == (1, 4)
    with pytest.raises(AssertionError, match="Target not provided when necessary"):
        units.attribute(torch.zeros(1, 3))
