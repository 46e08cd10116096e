"""Layer names: dotted, free of the wrappers that DataParallel and torch.compile put around modules.

``relu#1`` is the second run of a module in one forward pass. ``encoder[0]`` and ``backbone[feat]``
are entries of what a layer returns; dots descend into nested ones: ``backbone[feat.0]``.
``layer@nhwc`` names the axes of a layer for which they cannot be derived.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from nd_plugin import (
    LayerAmbiguous,
    LayerNotFound,
    UnitsNotFound,
    nearest,
    split_axes,
)

LAYER_TEXT = re.compile(
    r"(?P<name>.*?)(#(?P<run>\d+))?(\[(?P<entry>[^\]]+)\])?",
    re.DOTALL,  # so that every text matches
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
        is_wrapped = name.split(".")[-1] == COMPILED
        if name and not is_wrapped:
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
        return _resolve_module(layer, modules, root)
    return _resolve_text(layer, modules, root)


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

    Tensors of fewer than two dimensions have no units, and are left out.
    """
    if isinstance(output, Tensor):
        has_units = output.is_floating_point() and output.dim() >= 2
        return {prefix: output} if has_units else {}
    entries: dict[str, Tensor] = {}
    for key, value in _keyed_items(output):
        entries.update(find_entries(value, f"{prefix}.{key}" if prefix else key))
    return entries


def _keyed_items(output: object) -> list[tuple[str, object]]:
    if isinstance(output, dict):
        return [(str(key), value) for key, value in output.items()]
    if isinstance(output, tuple | list):
        return [(str(index), value) for index, value in enumerate(output)]
    return []


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
