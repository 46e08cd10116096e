"""Conformance kit of backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nd_plugin.contracts.models import Backend
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.testing.backend_kit import (
    error_rules,
    map_form_rules,
    map_rules,
    model_rules,
    place_rules,
    split_rules,
    state_rules,
)
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.conformance import Check, checks_of, run_checks

BACKEND_RULES = (
    *model_rules.RULES,
    *map_form_rules.RULES,
    *map_rules.RULES,
    *place_rules.RULES,
    *state_rules.RULES,
    *error_rules.RULES,
    *split_rules.RULES,
)


def check_backend(
    factory: Callable[[], Backend],
    model: Any,
    *,
    layers: Sequence[Any] | None = None,
    size: Size | None = None,
) -> None:
    """Check a backend by one of its models, and by probes on some of the model's layers.

    Parameters
    ----------
    factory
        What ``BackendSpec.factory`` names; called without arguments.
    model
        A small model: a text or an object that the backend opens.
    layers
        Layers that are probed; None: some of those that the model lists.
    size
        Height and width of the images; None: two sides that differ where the model takes these,
        else its own, which tell rows from columns by the perturbed bands alone.

    Raises ConformanceError with every check that does not hold.
    """
    checks = backend_checks(factory, model, layers=layers, size=size)
    run_checks(_named(factory), checks)


def backend_checks(
    factory: Callable[[], Backend],
    model: Any,
    *,
    layers: Sequence[Any] | None = None,
    size: Size | None = None,
) -> list[Check]:
    """Return the checks of `check_backend` one by one; nothing is opened before one is called."""
    case = BackendCase(factory, model, layers, size)
    return checks_of(BACKEND_RULES, case)


def _named(factory: Callable[[], Backend]) -> str:
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    return f"backend {getattr(factory, '__module__', '?')}.{name}"
