"""Models named by a text: ``torchvision:NAME``, ``timm:NAME``, ``package.module:factory?k=v``."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from nd_plugin import ModelNotFound, Preprocess, SpecText, Unavailable, nearest
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
    model_text = _text_of(spec)
    name = spec.argument
    models = _import("torchvision", model_text).models
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
    module = _create(model_text, models.get_model, name, weights=weights, **options)
    return LoadedModel(
        module,
        preprocess_of_torchvision(weights or all_weights.DEFAULT, name),
        text=complete_text(spec, options),
    )


def _load_timm(
    spec: SpecText, options: dict[str, Any], *, pretrained: bool
) -> LoadedModel:
    model_text = _text_of(spec)
    name = spec.argument
    timm = _import("timm", model_text)
    pretrained = bool(options.pop("pretrained", pretrained))
    if not timm.is_model(name):
        raise ModelNotFound(
            f"timm has no model {name!r}{_suggestions(name, timm.list_models())}"
        )
    module = _create(
        model_text, timm.create_model, name, pretrained=pretrained, **options
    )
    return LoadedModel(
        module, preprocess_of(module), text=complete_text(spec, options)
    )


def _load_from_factory(
    spec: SpecText, options: dict[str, Any], *, pretrained: bool
) -> LoadedModel:
    """Load from a module of the user's: a factory of models, or a model."""
    working_folder = str(Path.cwd())
    if working_folder not in sys.path:  # where `python -m` would look, too
        sys.path.insert(0, working_folder)
    factory = _import(spec.name, _text_of(spec))
    for attribute in spec.argument.split("."):
        if not hasattr(factory, attribute):
            hint = _suggestions(attribute, dir(factory))
            raise ModelNotFound(f"{spec.name} has no {spec.argument!r}{hint}")
        factory = getattr(factory, attribute)
    factory = as_module(factory)
    if isinstance(factory, nn.Module):
        module = factory
    else:
        module = as_module(_create(_text_of(spec), factory, **options))
    if not isinstance(module, nn.Module):
        raise ModelNotFound(
            f"{_text_of(spec)!r} returned a {type(module).__name__}, not an nn.Module"
        )
    text = complete_text(spec, options, factory)
    return LoadedModel(module, preprocess_of(module), text=text)


def _import(name: str, model_text: str) -> Any:
    """Import a module. Raises ModelNotFound, Unavailable."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if _is_missing(name, error):
            raise _missing_module(name, model_text) from error
        raise _failed_import(name, model_text, error) from error
    except Exception as error:
        # third-party code may raise any while it is imported
        hint = ""
        if name in TORCH_LIBRARIES:
            hint = "; torch and torchvision must be matching builds from the same package index"
        raise _failed_import(name, model_text, error, hint) from error


def _is_missing(name: str, error: ImportError) -> bool:
    """Return whether the module itself is missing, not something that it imports."""
    if error.name is None:
        return False
    package = name.partition(".")[0]
    missing_package = error.name.partition(".")[0]
    return missing_package == package and name in (package, error.name)


def _missing_module(name: str, model_text: str) -> Exception:
    if name in TORCH_LIBRARIES:
        return Unavailable(
            f"{model_text!r} needs {name}, which is not installed: "
            f"pip install 'nd_plugin[{name}]', from the package index that torch came from"
        )
    return ModelNotFound(
        f"no module {name!r} for the model {model_text!r}; "
        "it must lie in the current folder or be installed"
    )


def _failed_import(
    name: str, model_text: str, error: Exception, hint: str = ""
) -> Unavailable:
    reason = f"{type(error).__name__}: {error}{hint}"
    return Unavailable(f"{name} cannot be imported for {model_text!r}: {reason}")


def _create(
    model_text: str, factory: Callable[..., Any], /, *arguments: Any, **options: Any
) -> Any:
    """Call a factory. Raises ModelNotFound, and Unavailable for a package that it lacks."""
    try:
        return factory(*arguments, **options)
    except ImportError as error:
        raise Unavailable(
            f"{model_text!r} needs a package that is not installed: {error}"
        ) from error
    except Exception as error:  # a user's factory may raise any
        raise ModelNotFound(
            f"{model_text!r} could not be created: {type(error).__name__}: {error}"
        ) from error


def _text_of(spec: SpecText) -> str:
    return f"{spec.name}:{spec.argument}"


def _suggestions(name: str, names: Iterable[str]) -> str:
    public_names = [
        candidate for candidate in names if not candidate.startswith("__")
    ]
    suggestions = nearest(name, public_names)
    return f"; the nearest are {', '.join(suggestions)}" if suggestions else ""
