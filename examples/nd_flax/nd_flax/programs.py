"""Flax models as pure functions of their arrays and of images, with all modules observed.

A program never runs the user's own objects: nnx modules are put together anew from their graph
and arrays in each trace, and Linen modules are pure as they are. The model is therefore left as it
was, training mode included, whatever happens in a pass.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
from flax import linen, nnx

from nd_flax.recording import Recorder
from nd_plugin import BadInput

# arguments of forward functions that say whether a model is trained
RESTING_VALUES = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}
Arrays = Mapping[str, jax.Array]


class Program(Protocol):
    """Model without its arrays; equal programs compute the same."""

    def run(self, state: Any, images: jax.Array, recorder: Recorder) -> Any:
        """Run images (image, row, column, channel) and record what modules return."""
        ...


@dataclass(frozen=True)
class NnxProgram:
    """Graph of an nnx module."""

    graph: Any  # nnx.GraphDef

    def run(self, state: Any, images: jax.Array, recorder: Recorder) -> Any:
        """Run a copy of the module in evaluation mode."""
        module = nnx.merge(self.graph, state)
        flags = resting_flags(module)
        module.eval()
        for path, inner in list(nnx.iter_modules(module)):
            if path and callable(inner):
                observe(inner, ".".join(map(str, path)), recorder)
        return module(images, **flags)


def observe(module: Any, path: str, recorder: Recorder) -> None:
    """Make a module, a copy of the user's, record its calls: give it a class of its own."""
    original = type(module)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        forward = partial(original.__call__, self, *args, **kwargs)
        return recorder.call(path, original.__name__, forward)

    members = {"__call__": call, "__module__": original.__module__}
    observed = type(original.__name__, (original,), members)
    object.__setattr__(module, "__class__", observed)


@dataclass(frozen=True, eq=False)
class LinenProgram:
    """Linen module without variables."""

    module: linen.Module

    def run(self, state: Any, images: jax.Array, recorder: Recorder) -> Any:
        """Apply the module to its variables."""

        def intercept(
            forward: Any,
            args: Any,
            kwargs: Any,
            context: linen.module.InterceptorContext,
        ) -> Any:
            path = context.module.path
            if context.method_name != "__call__" or not path:
                return forward(*args, **kwargs)
            kind = type(context.module).__name__
            run = partial(forward, *args, **kwargs)
            return recorder.call(".".join(path), kind, run)

        with linen.intercept_methods(intercept):
            return self.module.apply(state, images, **resting_flags(self.module))


def resting_flags(module: Any) -> dict[str, bool]:
    """Return the arguments of a model's forward function that turn training off."""
    parameters = inspect.signature(type(module).__call__).parameters
    return {
        name: value for name, value in RESTING_VALUES.items() if name in parameters
    }


class Network(Protocol):
    """Live model of the user's."""

    @property
    def module(self) -> Any:
        """The module that was opened."""
        ...

    def snapshot(self) -> tuple[Program, Any]:
        """Return the program and its state: the arrays as they are now."""
        ...

    def arrays(self) -> Arrays:
        """Return the weights and statistics by name."""
        ...

    def with_arrays(self, arrays: Arrays) -> Network:
        """Return the model with other arrays, which have the same names and shapes."""
        ...

    def path_of(self, module: Any) -> str | None:
        """Return the dotted path of one of the model's own modules; None for others."""
        ...


@dataclass(frozen=True, eq=False)
class NnxNetwork:
    """Model that is an nnx module."""

    module: nnx.Module

    def snapshot(self) -> tuple[Program, Any]:
        """Return the module's graph and arrays."""
        graph, state = nnx.split(self.module)
        return NnxProgram(graph), state

    def arrays(self) -> Arrays:
        """Return the arrays of all variables but those of random numbers."""
        return {
            ".".join(map(str, path)): variable.get_value()
            for path, variable in self._variables()
        }

    def with_arrays(self, arrays: Arrays) -> NnxNetwork:
        """Put other arrays into the variables of a copy."""
        copy = NnxNetwork(nnx.clone(self.module))
        for path, variable in copy._variables():
            variable.set_value(arrays[".".join(map(str, path))])
        return copy

    def path_of(self, module: Any) -> str | None:
        """Return the path at which a module is found first."""
        for path, inner in nnx.iter_modules(self.module):
            if inner is module and path:
                return ".".join(map(str, path))
        return None

    def _variables(self) -> list[tuple[Any, Any]]:
        state = nnx.state(self.module, nnx.Not(nnx.RngState))
        return list(nnx.to_flat_state(state))


@dataclass(frozen=True, eq=False)
class LinenNetwork:
    """Model that is a Linen module, bound to its variables."""

    module: linen.Module
    program: LinenProgram
    variables: Any

    @classmethod
    def of_bound(cls, module: linen.Module) -> LinenNetwork:
        """Take a module and its variables apart. Raises BadInput for one that is not bound."""
        if module.scope is None:
            raise BadInput(
                f"the Linen module {type(module).__name__} has no variables; bind it to them: "
                "model.bind(variables)"
            )
        unbound, variables = module.unbind()
        return cls(module, LinenProgram(unbound), variables)

    def snapshot(self) -> tuple[Program, Any]:
        """Return the module and its variables."""
        return self.program, self.variables

    def arrays(self) -> Arrays:
        """Return all variables, by name: ``params.Conv_0.kernel``."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(self.variables)
        return {_dotted(path): value for path, value in leaves}

    def with_arrays(self, arrays: Arrays) -> LinenNetwork:
        """Bind the module to other variables."""
        variables = jax.tree_util.tree_map_with_path(
            lambda path, _: arrays[_dotted(path)], self.variables
        )
        return LinenNetwork.of_bound(self.program.module.bind(variables))

    def path_of(self, module: Any) -> str | None:
        """Return the path of a bound submodule."""
        path = getattr(module, "path", None)
        return ".".join(path) if path else None


def _dotted(path: Any) -> str:
    return str(jax.tree_util.keystr(path, simple=True, separator="."))


def network_of(module: Any) -> Network | None:
    """Return a Flax module as a network; None for an object that is none. Raises BadInput."""
    if isinstance(module, nnx.Module):
        return NnxNetwork(module)
    if isinstance(module, linen.Module):
        return LinenNetwork.of_bound(module)
    return None
