"""Rules of models that can be split at a layer, or traced, for contributions of units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.split_models import (
    LinearHead,
    SplitModel,
    TracedModel,
)
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.backend_kit.map_form_rules import values_of
from nd_plugin.testing.backend_kit.map_rules import repeats
from nd_plugin.testing.backend_kit.model_state import ModelState
from nd_plugin.testing.conformance import Rule, require

TOLERANCE = (
    1e-4  # kernels that a cut selects may differ in the last bits of float32
)


@dataclass(frozen=True)
class SplitRecord:
    """What a model split at a layer gives."""

    name: str  # of the probe
    rest_name: str
    maps: Tensor  # of its layer
    outputs: Any  # with the layer's own output put back
    ablated: Any  # with all units at 0
    is_dead: bool  # all units are 0 anyway


def rest_layer(case: BackendCase) -> None:
    """Require that a split has the name and the maps of a probe."""
    expected = values_of(case, case.record.maps)
    for split in _splits(case):
        require(
            split.rest_name == split.name,
            f"rest({split.name!r}) is named {split.rest_name!r}, not as a probe names it",
        )
        place = f"maps of a split at {split.name}"
        _require_close(split.maps, expected[split.name], place)


def rest_output(case: BackendCase) -> None:
    """Require that with a layer's own output put back the model gives what it gives."""
    for split in _splits(case):
        outputs = _first_tensor(split.outputs)
        place = f"outputs with that of {split.name} put back"
        _require_close(outputs, _model_output(case), place)


def rest_replaces(case: BackendCase) -> None:
    """Require an output that follows from the replaced values (ablation of all units)."""
    # behind the last of the layers no other way may lead around it
    for split in _splits(case)[-1:]:
        outputs = _first_tensor(split.outputs)
        ablated = _first_tensor(split.ablated)
        require(
            split.is_dead or not torch.equal(outputs, ablated),
            f"with all units of {split.name} at 0 the output is the same: `output` has to replace "
            "the layer's own",
        )


def linear_head(case: BackendCase) -> None:
    """Require that a linear head gives the model's outputs from pooled maps."""
    if not _is_split_model(case):
        return
    model: Any = case.opened
    layer, name = _ends_of(case)[-1]
    head = model.linear_head(layer, (case.images,))
    if head is None:
        return
    require(
        isinstance(head, LinearHead),
        f"linear_head gives a LinearHead or None, not a {type(head).__name__}",
    )
    maps = values_of(case, case.record.maps)[name]
    with torch.no_grad():
        pooled = maps.mean((2, 3)).to(head.weight)
        outputs = pooled @ head.weight.T + head.bias
    place = f"outputs of the linear head from pooled maps of {name}"
    _require_close(outputs, _model_output(case), place)


def trace(case: BackendCase) -> None:
    """Require traced values from which gradients flow to the output, and no hook behind."""
    model = case.opened
    if not isinstance(model, TracedModel):
        return
    modules = case.modules_of(case.opened)
    for layer, name in _ends_of(case)[-1:]:
        before = ModelState.of(modules)
        with torch.enable_grad():
            traced = model.trace(layer, (case.images,), gradients=True)
            output = _first_tensor(traced.output)
            value = traced.values[0][0]
            (gradient,) = torch.autograd.grad(
                output.sum(), value, allow_unused=True
            )
        require(
            traced.name == name,
            f"trace({name!r}) is named {traced.name!r}, not as a probe names it",
        )
        require(
            gradient is not None or not _decides_output(case),
            f"no gradient flows from the output to the traced values of {name}: go on with them",
        )
        difference = before.difference(ModelState.of(modules))
        require(not difference, f"trace() has left a change: {difference}")


def _decides_output(case: BackendCase) -> bool:
    """Return whether the output changes with the last layer, so far as a split model shows it."""
    for split in _splits(case)[-1:]:
        outputs = _first_tensor(split.outputs)
        return not torch.equal(outputs, _first_tensor(split.ablated))
    return True


def _is_split_model(case: BackendCase) -> bool:
    """Return whether the model can be split, and its maps repeat."""
    return isinstance(case.opened, SplitModel) and not case.record.unreliable


def _ends_of(case: BackendCase) -> list[tuple[Any, str]]:
    """Return the first and the last layer, with their names."""
    names = values_of(case, case.record.maps)
    layers = list(zip(case.layers, names, strict=True))
    return layers if len(layers) < 2 else [layers[0], layers[-1]]


def _splits(case: BackendCase) -> list[SplitRecord]:
    """Return splits at some layers; none where the model cannot be split."""
    if not _is_split_model(case):
        return []
    repeats(case)
    return case.once("rest()", lambda: _record_splits(case))


def _record_splits(case: BackendCase) -> list[SplitRecord]:
    model: Any = case.opened
    records = []
    for layer, name in _ends_of(case):
        with torch.no_grad(), model.rest(layer, (case.images,)) as rest:
            value = rest.layer(case.images)
            record = SplitRecord(
                name,
                rest.name,
                rest.layout.maps(value).clone(),
                rest(value.clone(), case.images),
                rest(torch.zeros_like(value), case.images),
                is_dead=not value.any(),
            )
            records.append(record)
    return records


def _model_output(case: BackendCase) -> Tensor:
    model: Any = case.opened

    def run() -> Any:
        with torch.no_grad():
            return model.outputs(case.images)

    return _first_tensor(case.once("outputs()", run))


def _first_tensor(outputs: Any) -> Tensor:
    """Return the first tensor of a model's outputs."""
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
