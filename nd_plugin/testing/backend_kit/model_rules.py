"""Rules of an opened model: its members, its identity, and the layers that it lists."""

from __future__ import annotations

from typing import Any

import torch

from nd_plugin.contracts.models import LayerDescription
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.own_values import (
    require_identity,
    require_text,
    require_texts,
)

OPTIONAL_TEXTS = ("spec", "structure", "precision", "compute_precision")


def opens(case: BackendCase) -> None:
    """Require an opened model with all members."""
    require(case.opened is not None, "open() gives nothing")


def identity(case: BackendCase) -> None:
    """Require an identity of texts, the same in a second opened model."""
    require_identity(case.opened.identity)
    second = case.open().identity
    require(
        second == case.opened.identity,
        f"opened again, the same model is {second}, not {case.opened.identity}",
    )


def members(case: BackendCase) -> None:
    """Require members of their types."""
    model = case.opened
    require(
        isinstance(model.backend, str) and model.backend,
        f"backend is the backend's name, not {model.backend!r}",
    )
    require(case.preprocess is not None, "the model has no preprocess")
    require(
        isinstance(model.device, torch.device),
        f"device is a torch.device, not {model.device!r}",
    )
    for name in OPTIONAL_TEXTS:
        require_text(getattr(model, name, ""), f"model.{name}")


def notes(case: BackendCase) -> None:
    """Require notes of texts, that are the same when they are asked for again."""
    require_texts(case.opened.notes, "model.notes")
    require(
        tuple(case.opened.notes) == tuple(case.opened.notes),
        "model.notes are the same each time",
    )
    probe = case.record.probe
    for name in ("notes", "unreliable"):
        texts = getattr(probe, name, ())
        require_texts(texts, f"probe.{name}")
        require(
            tuple(texts) == tuple(getattr(probe, name, ())),
            f"probe.{name} are the same each time",
        )


def layers_listed(case: BackendCase) -> None:
    """Require a list of descriptions, each name once."""
    names = [layer.name for layer in case.listed]
    require(names, "layers() lists no layer")
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"layers() lists {', '.join(twice)} several times")
    for layer in case.listed:
        _require_description(layer)


def layers_repeat(case: BackendCase) -> None:
    """Require the same list when it is asked for again."""
    first = [str(layer) for layer in case.listed]
    second = [str(layer) for layer in case.opened.layers(case.size)]
    require(first == second, "layers() gives another list when it is asked again")


def _require_description(layer: LayerDescription) -> None:
    require(
        isinstance(layer.name, str) and layer.name,
        f"a layer's name is a text, not {layer.name!r}",
    )
    require_text(layer.kind, f"the kind of {layer.name}")
    require_text(layer.reason, f"the reason of {layer.name}")
    require(
        layer.shape is None or _are_sides(layer.shape),
        f"the shape of {layer.name} is a tuple of whole numbers or None, not {layer.shape!r}",
    )
    require(
        layer.geometry is None or isinstance(layer.geometry, Geometry),
        f"the geometry of {layer.name} is a Geometry or None",
    )


def _are_sides(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(
        isinstance(side, int) and not isinstance(side, bool) and side >= 0
        for side in shape
    )


RULES: tuple[Rule[BackendCase], ...] = (
    Rule(
        "opens",
        "the factory is called without arguments, and open() gives a model with all members",
        opens,
    ),
    Rule(
        "identity",
        "name, source and version are texts; opened again, the model has the same identity",
        identity,
    ),
    Rule(
        "members",
        "backend, preprocess, device, and the optional texts are of their types",
        members,
    ),
    Rule(
        "layers-listed",
        "layers() gives LayerDescriptions with tuples as shapes, each name once",
        layers_listed,
    ),
    Rule("layers-repeat", "layers() gives the same list each time", layers_repeat),
    Rule(
        "notes",
        "notes of model and probe, and unreliable, are sequences of texts, the same each time",
        notes,
    ),
)
