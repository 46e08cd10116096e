"""Passes of a model: traced for a survey, and compiled by XLA for each shape of images.

What is compiled returns some layers only; XLA leaves out all that these do not need, so that a pass
ends behind the deepest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import torch
from jax import numpy as jnp
from torch import Tensor

from nd_flax.autograd import call_jax
from nd_flax.programs import Network, Program
from nd_flax.recording import Entry, Recorder
from nd_flax.survey import Size, Survey, survey
from nd_flax.tensors import Device, to_jax, to_torch
from nd_plugin import ModelFailed, describe_error, translating_errors

PRECISION = (
    "highest"  # else accelerators round float32 to fewer bits before they multiply
)


@dataclass(frozen=True, eq=False)
class Passes:
    """Passes of a live model on a device."""

    network: Network
    device: Device

    def survey(self, size: Size, channels: int) -> Survey:
        """Survey the model for images of a size. Raises ModelFailed."""
        program, state = self._snapshot()

        def traced(state: Any, images: jax.Array) -> Recorder:
            _, recorder = trace(program, state, images)
            return recorder

        return survey(traced, state, size, channels)

    def outputs(
        self, entries: tuple[Entry, ...], images: Tensor
    ) -> Sequence[Tensor]:
        """Return arrays of modules for images; their memory is XLA's. Raises ModelFailed."""
        program, state = self._snapshot()
        with _running(images):
            pixels = to_jax(images, self.device)
            arrays = _entries(program, entries, state, pixels)
            return [to_torch(array) for array in arrays]

    def model_outputs(self, images: Tensor) -> Any:
        """Return the model's outputs, differentiable by the images. Raises ModelFailed."""
        program, state = self._snapshot()

        def function(pixels: jax.Array) -> Any:
            return _whole(program, state, pixels)

        with _running(images):
            return call_jax(function, self.device, images)

    def layer(self, entry: Entry, images: Tensor) -> Tensor:
        """Return an array of a module, differentiable by the images. Raises ModelFailed."""
        program, state = self._snapshot()

        def function(pixels: jax.Array) -> Any:
            (array,) = _entries(program, (entry,), state, pixels)
            return array

        with _running(images):
            output: Tensor = call_jax(function, self.device, images)
            return output

    def outputs_with(self, entry: Entry, value: Tensor, images: Tensor) -> Any:
        """Return the model's outputs with another value in the place of a module's array."""
        program, state = self._snapshot()

        def function(array: jax.Array, pixels: jax.Array) -> Any:
            return _rest(program, entry, state, array, pixels)

        with _running(images):
            return call_jax(function, self.device, value, images)

    def _snapshot(self) -> tuple[Program, Any]:
        program, state = self.network.snapshot()
        return program, jax.device_put(state, self.device.arrays)


@partial(jax.jit, static_argnums=(0, 1))
def _entries(
    program: Program, entries: tuple[Entry, ...], state: Any, images: jax.Array
) -> list[jax.Array]:
    _, recorder = trace(program, state, images)
    try:
        return [recorder.array(entry) for entry in entries]
    except KeyError as error:
        raise ModelFailed(
            f"a layer ran when the probe was opened, but not for this batch of {len(images)} "
            f"images: {error}"
        ) from error


@partial(jax.jit, static_argnums=0)
def _whole(program: Program, state: Any, images: jax.Array) -> Any:
    output, _ = trace(program, state, images)
    return output


@partial(jax.jit, static_argnums=(0, 1))
def _rest(
    program: Program, entry: Entry, state: Any, value: jax.Array, images: jax.Array
) -> Any:
    output, _ = trace(program, state, images, {entry: value})
    return output


def trace(
    program: Program,
    state: Any,
    images: jax.Array,
    replacements: dict[Entry, jax.Array] | None = None,
) -> tuple[Any, Recorder]:
    """Run a program on images (image, channel, row, column) while JAX traces it.

    Functions that the model compiles itself are run as plain Python, so that what modules in them
    return can be taken. Raises ModelFailed.
    """
    recorder = Recorder(replacements)
    channels_last = jnp.moveaxis(images, 1, -1)

    def failure(error: BaseException) -> ModelFailed:
        where = f" in {recorder.running[-1]!r}" if recorder.running else ""
        return ModelFailed(
            f"the model failed{where} on images of shape {channels_last.shape} (image, row, "
            f"column, channel): {describe_error(error)}"
        )

    with (
        translating_errors(failure),
        jax.disable_jit(),
        jax.default_matmul_precision(PRECISION),
    ):
        return program.run(state, channels_last, recorder), recorder


@contextmanager
def _running(images: Tensor) -> Any:
    """Run compiled code. Raises ModelFailed for what XLA raises, such as too little memory."""

    def failure(error: BaseException) -> ModelFailed:
        return ModelFailed(
            f"the model failed on images of shape {tuple(images.shape)} (image, channel, row, "
            f"column): {describe_error(error)}"
        )

    with translating_errors(failure):
        yield


def noise(size: Size, channels: int) -> Tensor:
    """Return two random images (image, channel, row, column), the same in every process."""
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.rand(2, channels, *size, generator=generator)
