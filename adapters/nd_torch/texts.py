"""Models named by a text: ``torchvision:NAME``, ``timm:NAME``, ``package.module:factory?key=value``."""

from __future__ import annotations

import ast
import importlib
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nd_plugin import BadInput, ModelNotFound, Preprocess, SpecText, Unavailable, nearest

BUILT = ("torchvision", "timm")  # for one build of torch
IMAGENET = "ImageNet's (the model names none)"
WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema")  # keys that training scripts wrap weights in


@dataclass(frozen=True)
class Loaded:
    """A module and how images are brought to it."""

    module: nn.Module
    preprocess: Preprocess


def load(text: str, weights: str | None) -> Loaded:
    """Load the model that a text names, its weights from a file where one is given."""
    spec = SpecText.parse(text)
    options = {key: _value(value) for key, value in spec.options.items()}
    loaders = {"torchvision": _torchvision, "timm": _timm}
    if weights is not None and not Path(weights).is_file():
        raise ModelNotFound(f"no weights file {weights!r}")
    loaded = loaders.get(spec.name, _factory)(spec, options, pretrained=weights is None)
    if weights is not None:
        load_weights(loaded.module, weights)
    return loaded


def _value(text: str) -> Any:
    """A Python literal where it is one (numbers, True, None, tuples), else the text itself."""
    try:
        return ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text, text))
    except (ValueError, SyntaxError):
        return text


def _import(name: str, text: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] == top and name in (top, error.name):
            raise _missing(name, text) from error
        raise Unavailable(f"{name} cannot be imported for {text!r}: {type(error).__name__}: {error}") from error
    except Exception as error:  # what a third party's module raises while it is imported
        of_one_build = "; torch and torchvision have to be of one build, from one index" if name in BUILT else ""
        told = f"{type(error).__name__}: {error}{of_one_build}"
        raise Unavailable(f"{name} cannot be imported for {text!r}: {told}") from error


def _missing(name: str, text: str) -> Exception:
    if name in BUILT:
        return Unavailable(
            f"{text!r} needs {name}, which is not installed: pip install 'nd_plugin[{name}]', from where torch came"
        )
    return ModelNotFound(f"no module {name!r} for the model {text!r}; it is looked for here and where Python looks")


def _torchvision(spec: SpecText, options: dict[str, Any], *, pretrained: bool) -> Loaded:
    models = _import("torchvision", _text(spec)).models
    if spec.argument not in models.list_models():
        raise ModelNotFound(f"torchvision has no model {spec.argument!r}{_close(spec.argument, models.list_models())}")
    wanted = options.pop("weights", "DEFAULT" if pretrained else None)
    chosen = None if wanted is None else getattr(models.get_model_weights(spec.argument), str(wanted), None)
    if wanted is not None and chosen is None:
        known = ", ".join(models.get_model_weights(spec.argument).__members__)
        raise ModelNotFound(f"torchvision has no weights {wanted!r} for {spec.argument}; it has {known}, or none")
    module = _made(lambda: models.get_model(spec.argument, weights=chosen, **options), _text(spec))
    metadata = chosen or models.get_model_weights(spec.argument).DEFAULT
    return Loaded(module, _of_torchvision(metadata, spec.argument))


def _of_torchvision(weights: Any, name: str) -> Preprocess:
    how = weights.transforms()
    crop = getattr(how, "crop_size", getattr(how, "resize_size", [224]))
    side = (crop[0], crop[-1]) if isinstance(crop, list | tuple) else (crop, crop)
    values: dict[str, Any] = {"mean": tuple(how.mean), "std": tuple(how.std)} if hasattr(how, "mean") else {}
    interpolation = str(getattr(getattr(how, "interpolation", None), "value", "bilinear"))
    return Preprocess(size=side, interpolation=interpolation, source=f"torchvision's {name} weights", **values)


def _timm(spec: SpecText, options: dict[str, Any], *, pretrained: bool) -> Loaded:
    timm = _import("timm", _text(spec))
    pretrained = bool(options.pop("pretrained", pretrained))
    if not timm.is_model(spec.argument):
        raise ModelNotFound(f"timm has no model {spec.argument!r}{_close(spec.argument, timm.list_models())}")
    module = _made(lambda: timm.create_model(spec.argument, pretrained=pretrained, **options), _text(spec))
    return Loaded(module, preprocess_of(module))


def _factory(spec: SpecText, options: dict[str, Any], *, pretrained: bool) -> Loaded:
    here = str(Path.cwd())
    if here not in sys.path:  # as `python -m` does: a script of the user's own lies here
        sys.path.insert(0, here)
    found = _import(spec.name, _text(spec))
    for part in spec.argument.split("."):
        if not hasattr(found, part):
            raise ModelNotFound(f"{spec.name} has no {spec.argument!r}{_close(part, dir(found))}")
        found = getattr(found, part)
    module = found if isinstance(found, nn.Module) else _made(lambda: found(**options), _text(spec))
    if not isinstance(module, nn.Module):
        raise ModelNotFound(f"{_text(spec)!r} gave a {type(module).__name__}, not an nn.Module")
    return Loaded(module, preprocess_of(module))


def _made(make: Any, text: str) -> Any:
    try:
        return make()
    except ImportError as error:
        raise Unavailable(f"{text!r} needs a package that is not installed: {error}") from error
    except Exception as error:  # whatever a factory raises
        raise ModelNotFound(f"{text!r} could not be made: {type(error).__name__}: {error}") from error


def _text(spec: SpecText) -> str:
    return f"{spec.name}:{spec.argument}"


def _close(wanted: str, known: list[str]) -> str:
    close = nearest(wanted, [name for name in known if not name.startswith("__")])
    return f"; the nearest are {', '.join(close)}" if close else ""


def preprocess_of(module: nn.Module) -> Preprocess:
    """From timm's ``pretrained_cfg`` where the module carries one, else ImageNet's."""
    told = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    if not isinstance(told, Mapping):
        return Preprocess(source=IMAGENET, assumed=True)
    known: dict[str, Any] = {key: tuple(told[key]) for key in ("mean", "std") if told.get(key)}
    interpolation = told.get("interpolation", "bilinear")
    size = tuple(told.get("input_size") or (3, 224, 224))[1:]
    try:
        return Preprocess(size, interpolation=interpolation, source="the model's pretrained_cfg", **known)
    except BadInput as error:
        raise BadInput(f"the model's pretrained_cfg: {error}; give the value yourself") from error


def load_weights(module: nn.Module, path: str) -> None:
    """Load a safetensors file or a state dict; pickles other than plain tensors are refused."""
    state = _unwrapped(_read(path), module)
    own = module.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        raise ModelNotFound(
            f"the weights in {path!r} do not fit {type(module).__name__}: "
            f"{_few('missing', missing)}{'; ' if missing and extra else ''}{_few('not in the model', extra)}"
        )
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        wrong = [line.strip() for line in str(error).splitlines()[1:]]
        raise ModelNotFound(
            f"the weights in {path!r} do not fit {type(module).__name__}: {'; '.join(wrong[:1])} ({len(wrong)} such)"
        ) from error


def _read(path: str) -> Any:
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelNotFound(
            f"{path!r} cannot be read as a state dict of plain tensors: it holds a pickle of something else, which is "
            "not run; save model.state_dict() instead"
        ) from error
    except Exception as error:  # zip and safetensors errors have no common root
        raise ModelNotFound(
            f"{path!r} cannot be read as a safetensors file (by its name) or a state dict of plain tensors: "
            f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        ) from error


def _unwrapped(state: Any, module: nn.Module) -> dict[str, Any]:
    for key in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelNotFound(f"the weights hold a {type(state).__name__}, where a state dict of tensors belongs")
    own = module.state_dict().keys()
    bare = {key.removeprefix("module.").replace("_orig_mod.", ""): value for key, value in state.items()}
    return bare if not own & state.keys() else dict(state)


def _few(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{what}: {shown}" if names else ""
