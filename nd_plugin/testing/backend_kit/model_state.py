"""State that a backend has to leave as it found it: of modules of PyTorch, and of the process."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nd_plugin.contracts.provenance import fingerprint

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def modules_of(owner: Any) -> dict[str, nn.Module]:
    """Return the modules that an object is, or holds as attributes, by name."""
    if isinstance(owner, nn.Module):
        return {type(owner).__name__: owner}
    if isinstance(owner, str):
        return {}
    attributes = getattr(owner, "__dict__", {})
    return {
        name: attributes[name]
        for name in attributes
        if isinstance(attributes[name], nn.Module)
    }


@dataclass(frozen=True)
class ModelState:
    """State of modules, one text for each thing that may differ."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, modules: Mapping[str, nn.Module]) -> ModelState:
        """Return the state of modules, and of all modules inside."""
        values: dict[str, str] = {}
        for owner in modules:
            for name, module in modules[owner].named_modules():
                path = f"{owner}.{name}" if name else owner
                values.update(_state_of_module(path, module))
            values.update(_state_of_tensors(owner, modules[owner]))
        return cls(values)

    def difference(self, other: ModelState) -> str:
        """Return the first thing in which another state differs, in words; "" for none."""
        for name in {**self.values, **other.values}:
            before = self.values.get(name, "nothing")
            after = other.values.get(name, "nothing")
            if before != after:
                return f"{name}: {before} before, {after} after"
        return ""


def _state_of_module(path: str, module: nn.Module) -> Iterator[tuple[str, str]]:
    yield f"training mode of {path}", str(module.training)
    for kind in HOOKS:
        hooks = getattr(module, kind)
        yield f"{kind.strip('_').replace('_', ' ')} of {path}", str(len(hooks))
    yield f"own forward of {path}", str(module.__dict__.get("forward"))


def _state_of_tensors(owner: str, module: nn.Module) -> Iterator[tuple[str, str]]:
    for name, parameter in module.named_parameters():
        yield f"requires_grad of {owner}.{name}", str(parameter.requires_grad)
        yield f"gradient of {owner}.{name}", str(parameter.grad is not None)
        yield f"values of {owner}.{name}", _values_of(parameter)
    for name, buffer in module.named_buffers():
        yield f"values of {owner}.{name}", _values_of(buffer)


def _values_of(tensor: Tensor) -> str:
    """Return type, device and a fingerprint of a tensor's values."""
    form = f"{tensor.dtype} on {tensor.device}"
    if tensor.device.type == "meta":
        return form
    content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return f"{form} {fingerprint([content.numpy().data])}"


@dataclass(frozen=True)
class ProcessState:
    """Settings of this process that a plugin shares with its user."""

    values: Mapping[str, str]

    @classmethod
    def now(cls) -> ProcessState:
        """Return the settings of now."""
        random_torch = torch.get_rng_state().numpy().tobytes()
        random_numpy = str(np.random.get_state()).encode()
        values = {
            "gradient mode of torch": torch.is_grad_enabled(),
            "inference mode of torch": torch.is_inference_mode_enabled(),
            "default type of torch": torch.get_default_dtype(),
            "default device of torch": torch.get_default_device(),
            "threads of torch": torch.get_num_threads(),
            "precision of torch": torch.get_float32_matmul_precision(),
            "autocast of torch": torch.is_autocast_enabled(),
            "deterministic algorithms of torch": (
                torch.are_deterministic_algorithms_enabled()
            ),
            "random numbers of torch": fingerprint([random_torch]),
            "random numbers of NumPy": fingerprint([random_numpy]),
            "random numbers of Python": fingerprint(
                [repr(random.getstate()).encode()]
            ),
        }
        return cls({name: str(values[name]) for name in values})

    def difference(self, other: ProcessState) -> str:
        """Return the first setting in which another state differs, in words; "" for none."""
        for name in self.values:
            if self.values[name] != other.values[name]:
                return f"{name}: {self.values[name]} before, {other.values[name]} after"
        return ""
