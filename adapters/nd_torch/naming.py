"""Layer names: dotted, free of the wrappers that DataParallel and torch.compile put around modules.

``relu#1`` is the second run of a module in one forward pass. ``encoder[0]`` and ``backbone[feat]``
are entries of what a layer returns; dots descend into nested ones: ``backbone[feat.0]``.
``layer@nhwc`` names the axes of a layer for which they cannot be derived.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass

import torch
from torch import Tensor, nn

from nd_plugin import (
    LayerAmbiguous,
    LayerNotFound,
    UnitsNotFound,
    nearest,
    split_axes,
)
from nd_torch.exported import GUARDS, PROGRAM, ExportedModel

LAYER_TEXT = re.compile(
    r"(?P<name>.*?)(#(?P<run>\d+))?(\[(?P<entry>[^\]]+)\])?",
    re.DOTALL,  # so that every text matches
)
INSIDE_SCRIPT = (
    "runs inside the TorchScript module {0!r}, where hooks do not fire; choose {0!r} itself, or "
    "put the nn.Module that it was scripted or traced from in its place"
)
COMPILED = "_orig_mod"  # torch.compile's attribute for the module that it wraps


@dataclass(frozen=True)
class Target:
    """One tensor to take: a module, the number of its run, the key of its entry."""

    name: str  # canonical, unique among the requested layers
    module: nn.Module
    run: int | None  # None: the module must run once
    entry: str | None  # None: the module must return one tensor
    axes: str | None = None  # of the tensor, as named by the user; None: derived

    @property
    def module_name(self) -> str:
        """Canonical name of the module, without run, entry and axes."""
        name, _ = split_axes(self.name)
        return name.partition("#")[0].partition("[")[0]

    @property
    def run_number(self) -> int:
        """Number of the run, counted from 0."""
        return self.run or 0


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the module inside DataParallel, DistributedDataParallel and torch.compile wrappers."""
    while True:
        inner = getattr(module, COMPILED, None)
        if inner is None and isinstance(
            module, nn.DataParallel | nn.parallel.DistributedDataParallel
        ):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def named_layers(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Iterate over inner modules by canonical name, shared modules under each of their names."""
    for name, module in root.named_modules(remove_duplicate=False):
        components = name.split(".")
        is_wrapped = components[-1] == COMPILED
        is_program = isinstance(root, ExportedModel) and components[0] == PROGRAM
        is_guard = components[-1] == GUARDS
        if name and not (is_wrapped or is_program or is_guard):
            yield canonical(name), unwrapped(module)


def canonical(name: str) -> str:
    """Return a name without the components that torch.compile adds."""
    return ".".join(
        component for component in name.split(".") if component != COMPILED
    )


def resolve(layer: str | nn.Module, root: nn.Module) -> Target:
    """Return the target that a name or a module means in ``root``, a model already `unwrapped`.

    Raises LayerNotFound.
    """
    modules = dict(named_layers(root))
    if isinstance(layer, nn.Module):
        target = _resolve_module(layer, modules, root)
    else:
        target = _resolve_text(layer, modules, root)
    _check_hooks_fire(target, modules)
    return target


def _check_hooks_fire(target: Target, modules: Mapping[str, nn.Module]) -> None:
    """Check that a layer is not a part of a TorchScript module. Raises LayerNotFound."""
    components = target.module_name.split(".")
    for length in range(1, len(components)):
        outer_name = ".".join(components[:length])
        if isinstance(modules.get(outer_name), torch.jit.ScriptModule):
            raise LayerNotFound(
                f"layer {target.module_name!r} {INSIDE_SCRIPT.format(outer_name)}"
            )


def _resolve_module(
    layer: nn.Module, modules: Mapping[str, nn.Module], root: nn.Module
) -> Target:
    layer_module = unwrapped(layer)
    for name, module in modules.items():
        if module is layer_module:
            return Target(name, module, None, None)
    raise LayerNotFound(
        f"the module {type(layer).__name__} is not a submodule of {type(root).__name__}; "
        "pass one of the model's own modules, or its dotted name"
    )


def _resolve_text(
    text: str, modules: Mapping[str, nn.Module], root: nn.Module
) -> Target:
    text, axes = split_axes(text)
    match = LAYER_TEXT.fullmatch(text)
    assert match is not None
    name = _find_name(canonical(match["name"]), modules, root)
    run = int(match["run"]) if match["run"] else None
    entry = match["entry"]
    full_name = name
    if run is not None:
        full_name += f"#{run}"
    if entry is not None:
        full_name += f"[{entry}]"
    if axes is not None:
        full_name += f"@{axes.lower()}"
    return Target(full_name, modules[name], run, entry, axes)


def _find_name(name: str, modules: Mapping[str, nn.Module], root: nn.Module) -> str:
    """Return the name of an existing module, less DataParallel's prefix where the user wrote it."""
    bare_name = name.removeprefix("module.")
    for candidate in (name, bare_name):
        if candidate in modules:
            return candidate
    suggestions = ", ".join(nearest(bare_name, modules))
    hint = f"; the nearest are {suggestions}" if suggestions else ""
    raise LayerNotFound(
        f"no layer {name!r} in {type(root).__name__}{hint} "
        f"(nd layers MODEL lists all {len(modules)})"
    )


def find_entries(output: object, prefix: str = "") -> dict[str, Tensor]:
    """Return the floating-point tensors in a layer's output by key; a bare tensor's key is ``""``.

    Quantised tensors, which stand for floating-point numbers, are among them. Tensors of fewer than
    two dimensions have no units, and are left out.
    """
    entries: dict[str, Tensor] = {}
    for key, value in find_leaves(output, prefix).items():
        if isinstance(value, Tensor) and value.dim() >= 2 and has_numbers(value):
            entries[key] = value
    return entries


def find_leaves(output: object, prefix: str = "") -> dict[str, object]:
    """Return what a nested output holds by key: indices, keys and names of fields, with dots."""
    items = keyed_items(output)
    if items is None:
        return {prefix: output}
    leaves: dict[str, object] = {}
    for key, value in items:
        leaves.update(find_leaves(value, f"{prefix}.{key}" if prefix else key))
    return leaves


def keyed_items(output: object) -> list[tuple[str, object]] | None:
    """Return the items of a mapping, tuple, list or dataclass with their keys; None for others."""
    if isinstance(output, Mapping):
        return [(str(key), value) for key, value in output.items()]
    if isinstance(output, tuple | list):
        return [(str(index), value) for index, value in enumerate(output)]
    if is_dataclass(output) and not isinstance(output, type):
        names = [field.name for field in fields(output)]
        return [(name, getattr(output, name, None)) for name in names]
    return None


def has_numbers(tensor: Tensor) -> bool:
    """Return whether a tensor's values are floating-point numbers, or stand for such."""
    return tensor.is_floating_point() or tensor.is_quantized


def as_floats(tensor: Tensor) -> Tensor:
    """Return the numbers that a tensor's values stand for: quantised ones are dequantised."""
    return tensor.dequantize() if tensor.is_quantized else tensor


def why_no_entries(output: object) -> str:
    """Return why an output has no entries in which units are found."""
    tensors = [
        value for value in find_leaves(output).values() if isinstance(value, Tensor)
    ]
    if not tensors:
        return f"returns no tensor but a {type(output).__name__}"
    described = [
        f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
        for tensor in tensors
    ]
    return (
        f"returns {', '.join(described)}: units are found in floating-point tensors of two or more "
        "dimensions"
    )


def select_key(keys: Collection[str], target: Target) -> str:
    """Return the key of a target's tensor. Raises LayerAmbiguous, UnitsNotFound."""
    if target.entry is None and len(keys) == 1:
        return next(iter(keys))
    if target.entry is not None and target.entry in keys:
        return target.entry
    if not keys:
        raise UnitsNotFound(
            f"layer {target.name!r} has no floating-point tensor of two or more dimensions"
        )
    layer_name = target.name.split("[")[0]
    choices = ", ".join(f"{layer_name}[{key}]" for key in keys)
    problem = "has several tensors"
    if target.entry is not None:
        problem = f"has no entry {target.entry!r}"
    raise LayerAmbiguous(f"layer {layer_name!r} {problem}; choose one: {choices}")


def select_tensor(output: object, target: Target) -> Tensor:
    """Return the tensor that a target means in its module's output."""
    entries = find_entries(output)
    return entries[select_key(entries, target)]
