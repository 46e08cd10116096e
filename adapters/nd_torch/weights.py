"""Weights: read from files, and fingerprinted."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import ModelNotFound, fingerprint

# of training scripts
WRAPPER_KEYS = ("state_dict", "model_state_dict", "model", "state_dict_ema")
NAMES_SHOWN = 3


def copy_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of a module's buffers, which its passes may change, by name."""
    return {
        name: buffer.detach().clone() for name, buffer in module.named_buffers()
    }


def weights_fingerprint(
    module: nn.Module | None, buffers: Mapping[str, Tensor]
) -> str:
    """Return the fingerprint of names, shapes, types and bytes of all weights; "" without module.

    ``buffers`` are copies of the module's, as of its opening.
    """
    if module is None:
        return ""
    return fingerprint(_weight_bytes(module, buffers))


def _weight_bytes(
    module: nn.Module, buffers: Mapping[str, Tensor]
) -> Iterator[bytes | memoryview]:
    weights = {**dict(module.named_parameters()), **buffers}
    for name in sorted(weights):
        tensor = weights[name]
        yield f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode()
        flat = tensor.detach().cpu().contiguous().flatten()
        yield flat.view(torch.uint8).numpy().data


def load_weights(module: nn.Module, path: str) -> None:
    """Load a safetensors file or a state dict; pickles of anything but tensors are refused.

    Raises ModelNotFound.
    """
    state = _find_state_dict(_read(path), module)
    names = module.state_dict().keys()
    missing = sorted(names - state.keys())
    unexpected = sorted(state.keys() - names)
    misfit = f"the weights in {path!r} do not fit {type(module).__name__}: "
    if missing or unexpected:
        problems = []
        if missing:
            problems.append(f"missing: {_shortened(missing)}")
        if unexpected:
            problems.append(f"not in the model: {_shortened(unexpected)}")
        raise ModelNotFound(misfit + "; ".join(problems))
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        mismatches = [line.strip() for line in str(error).splitlines()[1:]]
        first_mismatch = mismatches[0] if mismatches else ""
        raise ModelNotFound(
            f"{misfit}{first_mismatch} ({len(mismatches)} in all)"
        ) from error


def _read(path: str) -> Any:
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelNotFound(
            f"{path!r} is not a state dict of plain tensors: it contains other pickled objects, "
            "which are never executed; save model.state_dict() instead"
        ) from error
    except Exception as error:
        # zip and safetensors errors have no common base class
        first_line = str(error).partition("\n")[0]
        raise ModelNotFound(
            f"{path!r} cannot be read as a safetensors file (by its suffix) or a state dict of "
            f"plain tensors: {type(error).__name__}: {first_line}"
        ) from error


def _find_state_dict(content: Any, module: nn.Module) -> dict[str, Any]:
    """Return the state dict in a file's content, less the prefixes that wrappers add to names."""
    for key in WRAPPER_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not _are_tensors(content):
        raise ModelNotFound(
            f"the weights file contains a {type(content).__name__}, not a state dict of tensors; "
            "save model.state_dict() instead"
        )
    if module.state_dict().keys() & content.keys():
        return dict(content)
    return {_without_wrappers(name): tensor for name, tensor in content.items()}


def _are_tensors(content: Mapping[str, Any]) -> bool:
    return all(isinstance(value, torch.Tensor) for value in content.values())


def _without_wrappers(name: str) -> str:
    return name.removeprefix("module.").replace("_orig_mod.", "")


def _shortened(names: list[str]) -> str:
    """Join the first names, and count the rest."""
    text = ", ".join(names[:NAMES_SHOWN])
    hidden_count = len(names) - NAMES_SHOWN
    return f"{text} and {hidden_count} more" if hidden_count > 0 else text


def precision_of(module: nn.Module) -> str:
    """Return the number types of a module's parameters, that of most numbers first; "" for none."""
    counts = Counter[str]()
    for parameter in module.parameters():
        counts[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
    return " and ".join(name for name, _ in counts.most_common())
