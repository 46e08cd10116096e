"""Layer names: the dotted path of a module, with its run, its entry and its axes.

``relu#1`` is the second run of a module in one pass, ``encoder[0]`` an entry of what it returns,
``layer@nchw`` names axes that cannot be derived.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from nd_plugin import LayerAmbiguous, LayerNotFound, nearest, split_axes

LAYER_TEXT = re.compile(
    r"(?P<path>.*?)(#(?P<run>\d+))?(\[(?P<entry>[^\]]+)\])?", re.DOTALL
)


@dataclass(frozen=True)
class Target:
    """One array to take: a module, the number of its run, the key of its entry."""

    name: str  # canonical
    path: str  # of the module
    run: int | None = None  # None: the module has to run once
    entry: str | None = None  # None: the module has to return one array
    axes: str | None = None  # as named by the user; None: derived


def resolve(text: str, paths: Collection[str], model: str) -> Target:
    """Return the target that a text means in a model with these modules. Raises LayerNotFound."""
    bare, axes = split_axes(text)
    match = LAYER_TEXT.fullmatch(bare)
    assert match is not None
    path = match["path"]
    if path not in paths:
        suggestions = ", ".join(nearest(path, paths))
        hint = f"; the nearest are {suggestions}" if suggestions else ""
        raise LayerNotFound(
            f"no layer {path!r} in {model}{hint} (nd layers MODEL lists all {len(paths)})"
        )
    run = int(match["run"]) if match["run"] else None
    name = layer_name(path, run, match["entry"])
    if axes is not None:
        name += f"@{axes.lower()}"
    return Target(name, path, run, match["entry"], axes)


def layer_name(path: str, run: int | None, entry: str | None) -> str:
    """Return the name of a layer."""
    name = path if run is None else f"{path}#{run}"
    return name if entry is None else f"{name}[{entry}]"


def select_key(keys: Collection[str], target: Target) -> str:
    """Return the key of a target's array. Raises LayerAmbiguous."""
    if target.entry is None and len(keys) == 1:
        return next(iter(keys))
    if target.entry is not None and target.entry in keys:
        return target.entry
    layer = layer_name(target.path, target.run, None)
    choices = ", ".join(layer_name(layer, None, key) for key in keys)
    problem = "returns several arrays"
    if target.entry is not None:
        problem = f"has no entry {target.entry!r}"
    raise LayerAmbiguous(f"layer {layer!r} {problem}; choose one: {choices}")
