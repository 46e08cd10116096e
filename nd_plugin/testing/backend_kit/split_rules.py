"""Rules of models that can be split at a layer, or traced, for contributions of units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.split_models import (
    LinearHead,
    SplitModel,
    TracedModel,
)
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.backend_kit.map_rules import values_of
from nd_plugin.testing.backend_kit.model_state import ModelState
from nd_plugin.testing.conformance import Rule, Unchecked, require

TOLERANCE = (
    1e-4  # kernels that a cut selects may differ in the last bits of float32
)


def rest_layer(case: BackendCase) -> None:
    """Require that a split has the name, the maps and the geometry of a probe."""
    expected = values_of(case, case.record.maps)
    for layer, name, model in _splits(case):
        with torch.no_grad(), model.rest(layer, (case.images,)) as rest:
            require(
                rest.name == name,
                f"rest({name!r}) is named {rest.name!r}: a split has the name that a probe gives",
            )
            maps = rest.layout.maps(rest.layer(case.images))
            _require_close(maps, expected[name], f"maps of a split at {name}")


def rest_output(case: BackendCase) -> None:
    """Require that with a layer's own output put back the model gives what it gives."""
    for layer, name, model in _splits(case):
        with torch.no_grad(), model.rest(layer, (case.images,)) as rest:
            value = rest.layer(case.images)
            expected = _single_tensor(model.outputs(case.images))
            outputs = _single_tensor(rest(value.clone(), case.images))
            _require_close(
                outputs,
                expected,
                f"with the output of {name} put back, the model's",
            )


def rest_replaces(case: BackendCase) -> None:
    """Require an output that follows from the replaced values (ablation of all units)."""
    # behind the last of the layers no other way may lead around it
    for layer, name, model in list(_splits(case))[-1:]:
        with torch.no_grad(), model.rest(layer, (case.images,)) as rest:
            value = rest.layer(case.images)
            if not value.any():
                continue
            kept = _single_tensor(rest(value.clone(), case.images))
            ablated = _single_tensor(rest(torch.zeros_like(value), case.images))
            require(
                not torch.equal(kept, ablated),
                f"with all units of {name} at 0 the output is the same: `output` has to replace "
                "the layer's own",
            )


def linear_head(case: BackendCase) -> None:
    """Require that a linear head gives the model's outputs from pooled maps."""
    expected = values_of(case, case.record.maps)
    for layer, name, model in _splits(case):
        head = model.linear_head(layer, (case.images,))
        if head is None:
            continue
        require(
            isinstance(head, LinearHead),
            f"linear_head gives a LinearHead or None, not a {type(head).__name__}",
        )
        with torch.no_grad():
            outputs = _single_tensor(model.outputs(case.images))
            pooled = expected[name].mean((2, 3)).to(head.weight)
            _require_close(
                pooled @ head.weight.T + head.bias,
                outputs,
                f"pooled maps of {name} through the linear head: the outputs",
            )


def trace(case: BackendCase) -> None:
    """Require traced values from which gradients flow to the output, and no hook behind."""
    model = case.opened
    if not isinstance(model, TracedModel):
        return
    expected = values_of(case, case.record.maps)
    modules = case.modules_of(case.opened)
    for layer, name in zip(case.layers, expected, strict=True):
        before = ModelState.of(modules)
        traced = model.trace(layer, (case.images,), gradients=True)
        require(
            traced.name == name,
            f"trace({name!r}) is named {traced.name!r}, not as a probe names it",
        )
        output = _first_tensor(traced.output)
        value = traced.values[0][0]
        (gradient,) = torch.autograd.grad(output.sum(), value, allow_unused=True)
        require(
            gradient is None or gradient.shape == value.shape,
            f"gradients at {name} have another shape than its values",
        )
        require(
            output.requires_grad,
            f"the output does not depend on the values of {name} in autograd's graph",
        )
        difference = before.difference(ModelState.of(modules))
        require(not difference, f"trace() has left a change: {difference}")


def _splits(case: BackendCase) -> Iterator[tuple[Any, str, SplitModel]]:
    """Iterate over the layers with their names; over none where the model is no SplitModel."""
    model = case.opened
    if not isinstance(model, SplitModel):
        return
    names = tuple(values_of(case, case.record.maps))
    if case.record.unreliable:
        return
    for layer, name in zip(case.layers, names, strict=True):
        yield layer, name, model


def _single_tensor(outputs: Any) -> Tensor:
    """Return the output of a model that has one. Raises Unchecked for several."""
    if not isinstance(outputs, Tensor):
        raise Unchecked("not checked, as the model has several outputs")
    return outputs


def _first_tensor(outputs: Any) -> Tensor:
    while not isinstance(outputs, Tensor):
        values = outputs.values() if hasattr(outputs, "values") else outputs
        outputs = next(iter(values))
    return outputs


def _require_close(actual: Tensor, expected: Tensor, place: str) -> None:
    require(
        actual.shape == expected.shape,
        f"{place} have the shape {tuple(actual.shape)}, not {tuple(expected.shape)}",
    )
    is_close = torch.allclose(
        actual.to(expected.dtype),
        expected,
        rtol=TOLERANCE,
        atol=TOLERANCE,
        equal_nan=True,
    )
    require(is_close, f"{place} differ from what they are without the split")


RULES: tuple[Rule[BackendCase], ...] = (
    Rule(
        "rest-layer",
        "a model split at a layer has the name and the maps that a probe gives",
        rest_layer,
    ),
    Rule(
        "rest-output",
        "with a layer's own output put back, a split model gives the model's output",
        rest_output,
    ),
    Rule(
        "rest-replaces",
        "what is put in a layer's place decides the output",
        rest_replaces,
    ),
    Rule(
        "linear-head",
        "a linear head gives the model's outputs from the pooled maps",
        linear_head,
    ),
    Rule(
        "trace",
        "traced values have the probe's name, gradients flow, and no hook remains",
        trace,
    ),
)
