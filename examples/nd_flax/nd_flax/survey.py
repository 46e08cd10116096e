"""Survey of a model: its jaxpr, with shapes and positions of what its modules return."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import torch
from jax import numpy as jnp

from nd_flax.naming import Target, select_key
from nd_flax.recording import Entry, ModuleRun, Recorder
from nd_flax.rules import infer_positions, shape_of
from nd_plugin import (
    Measurement,
    Placement,
    Positions,
    UnitsNotFound,
    check_run,
    place,
)

Size = tuple[int, int]
Traced = Callable[[Any, jax.Array], Recorder]
PRODUCTS = ("conv_general_dilated", "dot_general")
PAIR = 2  # images of a survey: an axis of two tells which one is that of images


@dataclass(frozen=True)
class SurveyedArray:
    """Array in a module's output for two images."""

    shape: torch.Size
    positions: Positions | None
    depends_on_images: bool


@dataclass(frozen=True)
class SurveyedRun:
    """Output of one run of a module for two images."""

    run: ModuleRun  # without the arrays of the trace, which has ended
    arrays: Mapping[str, SurveyedArray]  # by key

    def check(self, key: str, name: str) -> None:
        """Check that an array depends on the images; ``name`` is for the error.

        Raises UnitsNotFound.
        """
        array = self.arrays[key]
        if not array.depends_on_images:
            raise UnitsNotFound(
                f"layer {name!r} returns an array of shape {tuple(array.shape)} that does not "
                "depend on the image (a table or a parameter); choose a layer that the image "
                "passes through"
            )

    def check_misfit(self, name: str) -> None:
        """Check that units can be found in the output at all. Raises UnitsNotFound."""
        if self.run.misfit:
            raise UnitsNotFound(f"layer {name!r} {self.run.misfit}")


@dataclass(frozen=True)
class Survey:
    """Runs of modules in one pass, in the order in which they finished."""

    runs: tuple[SurveyedRun, ...]
    image_size: Size
    operations: str  # what is computed, as a text
    multiplied_types: (
        str  # number types of convolutions and products, such as "float32"
    )

    def count_runs(self, path: str) -> int:
        """Count the runs of a module."""
        return sum(surveyed.run.path == path for surveyed in self.runs)

    def entry_of(self, target: Target) -> Entry:
        """Return the array that a target means.

        Raises LayerNotFound, LayerAmbiguous, UnitsNotFound.
        """
        check_run(target.path, target.run, self.count_runs(target.path))
        number = target.run or 0
        surveyed = self._run(target.path, number)
        surveyed.check_misfit(target.name)
        key = select_key(surveyed.arrays, target)
        surveyed.check(key, target.name)
        return Entry(target.path, number, key)

    def array(self, entry: Entry) -> SurveyedArray:
        """Return what is known of an array."""
        return self._run(entry.path, entry.run).arrays[entry.key]

    def place(self, target: Target, measurement: Measurement | None) -> Placement:
        """Place the cells of a target's output over the image. Raises UnitsNotFound."""
        array = self.array(self.entry_of(target))
        return place(
            array.shape,
            array.positions,
            target.name,
            self.image_size,
            measurement,
            target.axes,
        )

    def unplaced(self) -> tuple[Entry, ...]:
        """Return the arrays whose cells have no derived geometry."""
        entries: list[Entry] = []
        for surveyed in self.runs:
            for key, array in surveyed.arrays.items():
                if array.depends_on_images and self._needs_measuring(array):
                    entries.append(
                        Entry(surveyed.run.path, surveyed.run.number, key)
                    )
        return tuple(entries)

    def _run(self, path: str, number: int) -> SurveyedRun:
        for surveyed in self.runs:
            if (surveyed.run.path, surveyed.run.number) == (path, number):
                return surveyed
        raise KeyError(path)

    def _needs_measuring(self, array: SurveyedArray) -> bool:
        try:
            placement = place(
                array.shape, array.positions, "", self.image_size, None
            )
        except UnitsNotFound:
            return True
        return placement.needs_measuring


def survey(traced: Traced, state: Any, size: Size, channels: int) -> Survey:
    """Trace a model on two images, without computing anything. Raises what ``traced`` raises."""
    runs: list[ModuleRun] = []

    def outputs(state: Any, images: jax.Array) -> list[Mapping[str, jax.Array]]:
        recorder = traced(state, images)
        runs.extend(replace(run, arrays={}) for run in recorder.runs)
        return [run.arrays for run in recorder.runs]

    images = jax.ShapeDtypeStruct((PAIR, channels, *size), jnp.float32)
    closed, structure = jax.make_jaxpr(outputs, return_shape=True)(state, images)
    flow = Flow()
    image_variable = closed.jaxpr.invars[-1]
    flow.positions[image_variable] = Positions.of_input(shape_of(image_variable))
    flow.dependent.add(image_variable)
    flow.follow(closed.jaxpr)
    surveyed = [flow.surveyed(variable) for variable in closed.jaxpr.outvars]
    by_run = jax.tree_util.tree_unflatten(
        jax.tree_util.tree_structure(structure), surveyed
    )
    return Survey(
        tuple(
            SurveyedRun(run, arrays)
            for run, arrays in zip(runs, by_run, strict=True)
        ),
        size,
        "\n".join(flow.operations),
        " and ".join(name for name, _ in flow.multiplied.most_common()),
    )


class Flow:
    """Positions, and dependence on the images, of the variables of a jaxpr."""

    def __init__(self) -> None:
        self.positions: dict[Any, Positions | None] = {}
        self.dependent: set[Any] = set()
        self.operations: list[str] = []
        self.multiplied = Counter[str]()  # number types, by how often they are

    def follow(self, jaxpr: Any) -> None:
        """Go through the equations of a jaxpr, whose input variables are known."""
        for equation in jaxpr.eqns:
            inner = _inner_jaxpr(equation)
            if inner is not None:
                self._follow_call(equation, inner)
                continue
            self.operations.append(_describe(equation))
            if equation.primitive.name in PRODUCTS:
                self.multiplied[str(equation.invars[0].aval.dtype)] += 1
            sources = [self._positions(variable) for variable in equation.invars]
            is_dependent = any(map(self._depends, equation.invars))
            for variable in equation.outvars:
                self._set(variable, None, is_dependent=is_dependent)
            if any(source is not None for source in sources):
                positions = infer_positions(equation, sources)
                self.positions[equation.outvars[0]] = positions

    def surveyed(self, variable: Any) -> SurveyedArray:
        """Return what is known of a variable."""
        return SurveyedArray(
            shape_of(variable), self._positions(variable), self._depends(variable)
        )

    def _follow_call(self, equation: Any, inner: Any) -> None:
        """Follow a call of another jaxpr, such as that of an activation function."""
        self._copy(equation.invars, inner.invars)
        self.follow(inner)
        self._copy(inner.outvars, equation.outvars)

    def _copy(self, sources: Sequence[Any], targets: Sequence[Any]) -> None:
        for source, target in zip(sources, targets, strict=True):
            is_dependent = self._depends(source)
            self._set(target, self._positions(source), is_dependent=is_dependent)

    def _set(
        self, variable: Any, positions: Positions | None, *, is_dependent: bool
    ) -> None:
        """Set what is known of a variable; those of a jaxpr that is called twice are met twice."""
        self.positions[variable] = positions
        self.dependent.discard(variable)
        if is_dependent:
            self.dependent.add(variable)

    def _positions(self, variable: Any) -> Positions | None:
        return None if _is_literal(variable) else self.positions.get(variable)

    def _depends(self, variable: Any) -> bool:
        return not _is_literal(variable) and variable in self.dependent


def _is_literal(variable: Any) -> bool:
    return isinstance(variable, jax.extend.core.Literal)


def _inner_jaxpr(equation: Any) -> Any:
    """Return the jaxpr that an equation calls once, with its own operands; None for others."""
    if equation.primitive.name in ("scan", "while", "cond"):
        return None
    for name in ("call_jaxpr", "jaxpr", "fun_jaxpr"):
        inner = equation.params.get(name)
        inner = getattr(inner, "jaxpr", inner)
        invars = getattr(inner, "invars", None)
        if invars is not None and len(invars) == len(equation.invars):
            return inner
    return None


def _describe(equation: Any) -> str:
    """Return an equation in words that are the same in every process."""
    plain = (bool, int, float, str, tuple, type(None))
    parameters = [
        f"{name}={value}"
        for name, value in sorted(equation.params.items())
        if isinstance(value, plain)
    ]
    shapes = [str(variable.aval) for variable in equation.outvars]
    return " ".join([equation.primitive.name, *parameters, *shapes])
