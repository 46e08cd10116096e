"""Models named by a text: ``flax:package.module:factory?key=value``."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flax import nnx

from nd_flax.programs import Network, network_of
from nd_flax.weights import load_weights
from nd_plugin import (
    BadInput,
    ModelNotFound,
    Preprocess,
    SpecText,
    UserCode,
    look_in_working_folder,
    own_arguments,
)

LITERALS = {"true": "True", "false": "False", "none": "None"}
PLAIN = (str, int, float, bool, type(None), tuple)  # the same text in every process
FORM = "flax:package.module:factory?key=value"
UNTRAINED = "the factory was given random numbers (rngs=nnx.Rngs(0)), so weights may be random"
UNSTATED = "the model has no attribute 'preprocess'"


@dataclass(frozen=True)
class LoadedModel:
    """Model of a text, notes on its weights, and the complete text."""

    network: Network
    notes: tuple[str, ...]
    text: str  # with all options, those that were left out included


def load(text: str, weights: str | None) -> LoadedModel:
    """Load the model that a text names, with weights from a file where one is given.

    Raises ModelNotFound, BadInput, Unavailable.
    """
    spec = SpecText.parse(text)
    module_name, _, path = spec.argument.partition(":")
    if not module_name or not path:
        raise ModelNotFound(f"{text!r} names no factory; it has to be like {FORM}")
    look_in_working_folder()
    code = UserCode(f"{spec.name}:{spec.argument}", "model", ModelNotFound)
    options = {key: _parse(value) for key, value in spec.options.items()}
    notes: tuple[str, ...] = ()
    with own_arguments(module_name):
        factory = code.find(module_name, path)
        module = factory
        if network_of(factory) is None:
            if _takes_random_numbers(factory, options):
                options["rngs"] = nnx.Rngs(0)
                notes = (UNTRAINED,) if weights is None else ()
            module = code.call(factory, **options)
    network = network_of(module)
    if network is None:
        raise ModelNotFound(
            f"{code.text!r} returned a {type(module).__name__}, neither an nnx.Module nor a bound "
            "linen.Module (model.bind(variables))"
        )
    if weights is not None:
        network = load_weights(network, weights)
    return LoadedModel(network, notes, _complete(spec, factory, options))


def _parse(text: str) -> Any:
    """Return an option's value as a Python literal (number, True, None, tuple), else as a text."""
    try:
        return ast.literal_eval(LITERALS.get(text, text))
    except (ValueError, SyntaxError):
        return text


def _takes_random_numbers(factory: Any, options: Mapping[str, Any]) -> bool:
    """Return whether a factory asks for ``rngs``, as the classes of nnx modules do."""
    return "rngs" in _parameters(factory) and "rngs" not in options


def _complete(spec: SpecText, factory: Any, options: Mapping[str, Any]) -> str:
    """Return the text with the values of all options, defaults included, in order."""
    values: dict[str, Any] = {}
    for name, parameter in _parameters(factory).items():
        if isinstance(parameter.default, PLAIN):
            values[name] = parameter.default
    values.update(options)
    values.pop("rngs", None)
    head = f"{spec.name}:{spec.argument}"
    query = urlencode({name: str(values[name]) for name in sorted(values)})
    return f"{head}?{query}" if query else head


def _parameters(factory: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a factory; of a class those of its initialiser.

    The metaclass of nnx modules hides them from `inspect.signature`.
    """
    function = factory
    if isinstance(factory, type):
        function = factory.__init__  # type: ignore[misc]
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # of compiled code, or a model itself
        return {}


def preprocess_of(module: Any) -> Preprocess:
    """Return the preprocessing in a model's attribute ``preprocess``, else assume ImageNet's.

    It is a `Preprocess`, or a mapping with its fields. Raises BadInput for anything else.
    """
    stated = getattr(module, "preprocess", None)
    if stated is None or callable(stated):
        return Preprocess.imagenet(UNSTATED)
    if isinstance(stated, Preprocess):
        return stated
    source = f"{type(module).__name__}.preprocess"
    try:
        return Preprocess(**{"source": source, **stated})
    except TypeError as error:
        raise BadInput(f"{source} is no preprocessing: {error}") from error
