"""Types of the fields of a plugin's specs, checked when the plugin is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from nd_plugin.contracts.plugin_specs import (
    BackendSpec,
    ConceptSetSpec,
    ReporterSpec,
)

Spec = BackendSpec | ConceptSetSpec | ReporterSpec
OPTIONAL = (
    "doctor",
    "known_models",
    "check",
    "check_tables",
    "example",
)  # texts that may be empty


def check_spec(spec: Spec) -> None:
    """Check the type of every field of a spec. Raises TypeError, which names the field."""
    for field in fields(spec):
        value = getattr(spec, field.name)
        expected, is_valid = CHECKS[field.name]
        is_left_out = value is None and field.name == "match"
        if isinstance(spec, ConceptSetSpec) and is_left_out:
            continue
        if not is_valid(value) and not (field.name in OPTIONAL and value == ""):
            raise TypeError(
                f"{type(spec).__name__}.{field.name} is {value!r}, not {expected}"
            )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_any_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(map(_is_any_text, value))


PLACE = "a text 'package.module:name'"  # which is read when it is needed
CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a text", _is_text),
    "summary": ("a text", _is_any_text),
    "factory": (PLACE, _is_text),
    "doctor": (PLACE, _is_text),
    "known_models": (PLACE, _is_text),
    "check": (PLACE, _is_text),
    "check_tables": (PLACE, _is_text),
    "example": (PLACE, _is_text),
    "match": ("a function", callable),
    "accepts": ("a tuple of texts", _are_texts),
    "endings": ("a tuple of texts", _are_texts),
}
