"""Names of layers: dotted, without the wrappers that DataParallel and torch.compile put around modules.

``relu#1`` is the second run of a module in one forward pass; ``encoder[0]`` or ``backbone[feat]`` an entry of what a
layer returns, nested ones with dots: ``backbone[feat.0]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from nd_plugin import LayerAmbiguous, LayerNotFound, UnitsNotFound, nearest

TEXT = re.compile(r"(?P<name>.*?)(#(?P<run>\d+))?(\[(?P<entry>[^\]]+)\])?")
COMPILED = "_orig_mod"


@dataclass(frozen=True)
class Target:
    """One output to take: a module, which of its runs, which entry of what it returns."""

    name: str  # canonical, unique among those asked for
    module: nn.Module
    run: int | None  # None: it must run once
    entry: str | None  # None: it must return one tensor


def unwrapped(module: nn.Module) -> nn.Module:
    """Without DataParallel, DistributedDataParallel and torch.compile around it."""
    while True:
        inner = getattr(module, COMPILED, None)
        if inner is None and isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def named_layers(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every inner module by its canonical name, shared modules under each of their names."""
    for name, module in root.named_modules(remove_duplicate=False):
        parts = name.split(".")
        if name and parts[-1] != COMPILED:
            yield canonical(name), unwrapped(module)


def canonical(name: str) -> str:
    """A name without the parts that torch.compile adds."""
    return ".".join(part for part in name.split(".") if part != COMPILED)


def resolve(layer: str | nn.Module, root: nn.Module) -> Target:
    """The target that a name or a module means in ``root``, a model that is `unwrapped` itself."""
    modules = dict(named_layers(root))
    if isinstance(layer, nn.Module):
        name = next((name for name, module in modules.items() if module is unwrapped(layer)), None)
        if name is None:
            raise LayerNotFound(
                f"the module {type(layer).__name__} given as a layer is no part of {type(root).__name__}"
            )
        return Target(name, modules[name], None, None)
    found = TEXT.fullmatch(layer)
    name = _known(canonical(found["name"]) if found else layer, modules, root)
    run = int(found["run"]) if found and found["run"] else None
    entry = found["entry"] if found else None
    shown = name + ("" if run is None else f"#{run}") + (f"[{entry}]" if entry else "")
    return Target(shown, modules[name], run, entry)


def _known(name: str, modules: dict[str, nn.Module], root: nn.Module) -> str:
    bare = name.removeprefix("module.")
    for candidate in (name, bare):
        if candidate in modules:
            return candidate
    close = ", ".join(nearest(bare, modules))
    raise LayerNotFound(
        f"no layer {name!r} in {type(root).__name__}"
        + (f"; the nearest are {close}" if close else "")
        + f" (nd layers MODEL lists all {len(modules)})"
    )


def entries(output: object, prefix: str = "") -> dict[str, Tensor]:
    """The floating-point tensors in what a layer returned, by key; a bare tensor has the key ``""``."""
    if isinstance(output, Tensor):
        return {prefix: output} if output.is_floating_point() and output.dim() >= 2 else {}
    if isinstance(output, dict):
        pairs = [(str(key), value) for key, value in output.items()]
    elif isinstance(output, tuple | list):
        pairs = [(str(place), value) for place, value in enumerate(output)]
    else:
        return {}
    found: dict[str, Tensor] = {}
    for key, value in pairs:
        found.update(entries(value, f"{prefix}.{key}" if prefix else key))
    return found


def choose(output: object, target: Target) -> Tensor:
    """The tensor that a target means in what its module returned."""
    found = entries(output)
    if target.entry is None and len(found) == 1:
        return next(iter(found.values()))
    if target.entry in found:
        return found[str(target.entry)]
    if not found:
        raise UnitsNotFound(f"layer {target.name!r} gives no floating-point tensor of two or more dimensions")
    keys = ", ".join(f"{target.name.split('[')[0]}[{key}]" for key in found)
    what = "gives several tensors" if target.entry is None else f"gives nothing under {target.entry!r}"
    raise LayerAmbiguous(f"layer {target.name!r} {what}; choose one: {keys}")
