"""Models named by a text: ``torchvision:NAME``, ``timm:NAME``, ``package.module:factory?k=v``."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from nd_plugin import (
    ModelNotFound,
    Preprocess,
    SpecText,
    UserCode,
    look_in_working_folder,
    nearest,
    own_arguments,
)
from nd_torch.exported import as_module
from nd_torch.preprocessing import preprocess_of, preprocess_of_torchvision
from nd_torch.structure import complete_text
from nd_torch.weight_files.loading import load_weights

# each is compiled for, or depends on, one build of torch
TORCH_LIBRARIES = ("torchvision", "timm")
LITERALS = {"true": "True", "false": "False", "none": "None"}


@dataclass(frozen=True)
class LoadedModel:
    """A module, the preprocessing of its images, notes on its weights, and the complete text."""

    module: nn.Module
    preprocess: Preprocess
    notes: tuple[str, ...] = ()
    text: str = ""  # that names it, with all options but that of the weights


def load(text: str, weights: str | None) -> LoadedModel:
    """Load the model that a text names, with weights from a file where one is given.

    Raises ModelNotFound, Unavailable.
    """
    spec = SpecText.parse(text)
    options = {key: _parse_value(value) for key, value in spec.options.items()}
    if weights is not None and not Path(weights).is_file():
        raise ModelNotFound(f"no weights file {weights!r}")
    loaders = {"torchvision": _load_torchvision, "timm": _load_timm}
    loader = loaders.get(spec.name, _load_from_factory)
    loaded = loader(spec, options, pretrained=weights is None)
    if weights is None:
        return loaded
    result = load_weights(loaded.module, loaded.preprocess, spec, weights)
    return replace(loaded, preprocess=result.preprocess, notes=result.notes)


def _parse_value(text: str) -> Any:
    """Return an option's value as a Python literal (number, True, None, tuple), else as a text."""
    try:
        return ast.literal_eval(LITERALS.get(text, text))
    except (ValueError, SyntaxError):
        return text


def _load_torchvision(
    spec: SpecText, options: dict[str, Any], *, pretrained: bool
) -> LoadedModel:
    code = _code_of(spec)
    name = spec.argument
    models = code.import_module("torchvision").models
    if name not in models.list_models():
        hint = _suggestions(name, models.list_models())
        raise ModelNotFound(f"torchvision has no model {name!r}{hint}")
    weights_name = options.pop("weights", "DEFAULT" if pretrained else None)
    all_weights = models.get_model_weights(name)
    weights = None
    if weights_name is not None:
        weights = getattr(all_weights, str(weights_name), None)
        if weights is None:
            choices = ", ".join(all_weights.__members__)
            raise ModelNotFound(
                f"torchvision has no weights {weights_name!r} for {name}; it has {choices}, or none"
            )
    module = code.call(models.get_model, name, weights=weights, **options)
    return LoadedModel(
        module,
        preprocess_of_torchvision(weights or all_weights.DEFAULT, name),
        text=complete_text(spec, options),
    )


def _load_timm(
    spec: SpecText, options: dict[str, Any], *, pretrained: bool
) -> LoadedModel:
    code = _code_of(spec)
    name = spec.argument
    timm = code.import_module("timm")
    pretrained = bool(options.pop("pretrained", pretrained))
    if not timm.is_model(name):
        raise ModelNotFound(
            f"timm has no model {name!r}{_suggestions(name, timm.list_models())}"
        )
    module = code.call(timm.create_model, name, pretrained=pretrained, **options)
    return LoadedModel(
        module, preprocess_of(module), text=complete_text(spec, options)
    )


def _load_from_factory(
    spec: SpecText, options: dict[str, Any], *, pretrained: bool
) -> LoadedModel:
    """Load from a module of the user's: a factory of models, or a model."""
    look_in_working_folder()
    code = _code_of(spec)
    with own_arguments(spec.name):
        factory = as_module(code.find(spec.name, spec.argument))
        module = factory
        if not isinstance(factory, nn.Module):
            module = as_module(code.call(factory, **options))
    if not isinstance(module, nn.Module):
        raise ModelNotFound(
            f"{code.text!r} returned a {type(module).__name__}, not an nn.Module"
        )
    text = complete_text(spec, options, factory)
    return LoadedModel(module, preprocess_of(module), text=text)


def _code_of(spec: SpecText) -> UserCode:
    text = f"{spec.name}:{spec.argument}"
    return UserCode(text, "model", ModelNotFound, TORCH_LIBRARIES)


def _suggestions(name: str, names: Iterable[str]) -> str:
    public_names = [
        candidate for candidate in names if not candidate.startswith("__")
    ]
    suggestions = nearest(name, public_names)
    return f"; the nearest are {', '.join(suggestions)}" if suggestions else ""
