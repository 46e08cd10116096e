"""Recording of what the modules of a model return while JAX traces it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax import numpy as jnp
from jax.extend import core

HIDDEN = (
    "runs inside a transformation of JAX (remat, vmap, scan), out of which no value can be taken; "
    "choose a layer around it"
)


@dataclass(frozen=True)
class Entry:
    """Array in the output of one run of a module."""

    path: str  # dotted, of the module
    run: int  # counted from 0
    key: str  # "" for a module that returns one array


@dataclass(frozen=True)
class ModuleRun:
    """Output of one run of a module while the model is traced."""

    path: str
    number: int
    kind: str  # class of the module
    arrays: Mapping[str, jax.Array]  # floating-point, of two or more axes, by key
    misfit: str = ""  # why there are none


class Recorder:
    """Outputs of modules in the order in which they finish.

    With replacements, some outputs are exchanged for other values, with which the model goes on.
    """

    def __init__(
        self, replacements: Mapping[Entry, jax.Array] | None = None
    ) -> None:
        self.runs: list[ModuleRun] = []
        self.running: list[str] = []  # paths of modules that have not finished
        self._replacements = replacements or {}
        self._run_counts: Counter[str] = Counter()
        self._trace = core.get_opaque_trace_state(convention="flax")

    def call(self, path: str, kind: str, forward: Callable[[], Any]) -> Any:
        """Run a module's forward function and record its output; return what the model gets.

        After an exception, ``running`` ends with the path of the module that raised it.
        """
        self.running.append(path)
        output = forward()
        self.running.pop()
        number = self._run_counts[path]
        self._run_counts[path] += 1
        if core.get_opaque_trace_state(convention="flax") != self._trace:
            self.runs.append(ModuleRun(path, number, kind, {}, HIDDEN))
            return output
        arrays = _arrays_of(output)
        misfit = "" if arrays else _why_none(output)
        self.runs.append(ModuleRun(path, number, kind, arrays, misfit))
        return self._replaced(path, number, output)

    def array(self, entry: Entry) -> jax.Array:
        """Return a recorded array. Raises KeyError where it is none of this pass."""
        for run in self.runs:
            if (run.path, run.number) == (entry.path, entry.run):
                return run.arrays[entry.key]
        raise KeyError(entry)

    def _replaced(self, path: str, number: int, output: Any) -> Any:
        if not self._replacements:
            return output

        def replace(key: Any, value: Any) -> Any:
            return self._replacements.get(Entry(path, number, _text(key)), value)

        return jax.tree_util.tree_map_with_path(replace, output)


def _arrays_of(output: Any) -> dict[str, jax.Array]:
    """Return the arrays in an output by key in which there may be units."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(output)
    arrays: dict[str, jax.Array] = {}
    for key, value in leaves:
        is_array = isinstance(value, jax.Array)
        if (
            is_array
            and value.ndim >= 2
            and jnp.issubdtype(value.dtype, jnp.floating)
        ):
            arrays[_text(key)] = value
    return arrays


def _text(key: Any) -> str:
    return str(jax.tree_util.keystr(key, simple=True, separator="."))


def _why_none(output: Any) -> str:
    leaves = jax.tree_util.tree_leaves(output)
    arrays = [value for value in leaves if isinstance(value, jax.Array)]
    if not arrays:
        return f"returns no array but a {type(output).__name__}"
    described = [f"{array.dtype} of shape {array.shape}" for array in arrays]
    return (
        f"returns {', '.join(described)}: units are found in floating-point arrays of two or more "
        "axes"
    )
