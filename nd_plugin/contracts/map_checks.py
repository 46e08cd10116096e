"""Checks that a probe gives what its contract says, batch by batch, and failures of a forward pass.

All maps of a layer have one number of units, one grid and one type. What is computed from the first
batch on would be wrong, or fail somewhere later, if others came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nd_plugin.errors import ModelFailed, RunFailed


class BrokenContract(Exception):
    """Maps that are not what a probe's contract says, of a batch that is not named yet."""


class MapForm(NamedTuple):
    """Form of a layer's maps, the same for all images."""

    units: int
    cells: tuple[int, int]  # rows and columns
    dtype: torch.dtype | None = None  # None: not known yet

    def __str__(self) -> str:
        rows, columns = self.cells
        kind = "" if self.dtype is None else f" of {self.dtype}"
        return f"{self.units} units, {rows}x{columns} cells{kind}"


@dataclass
class MapForms:
    """Forms of the layers' maps so far."""

    _forms: dict[str, MapForm] = field(default_factory=dict)

    def expect(self, layer: str, units: int, cells: tuple[int, int]) -> None:
        """Expect this form of a layer, such as that of the run that is resumed."""
        self._forms[layer] = MapForm(units, cells)

    def check(
        self, activations: Mapping[str, Any], layers: Sequence[str], images: int
    ) -> dict[str, Tensor]:
        """Return the maps (image, unit, row, column) of layers, by name.

        Raises BrokenContract for maps of another form than before, or of another number of images.
        """
        maps_of = {}
        for layer in layers:
            maps = _maps_of(activations, layer)
            _check_images(layer, maps, images)
            self._check_form(layer, maps)
            maps_of[layer] = maps
        return maps_of

    def _check_form(self, layer: str, maps: Tensor) -> None:
        _, units, rows, columns = maps.shape
        form = MapForm(units, (rows, columns), maps.dtype)
        expected = self._forms.setdefault(layer, form)
        if expected.dtype is None:
            expected = expected._replace(dtype=maps.dtype)
            self._forms[layer] = expected
        if form != expected:
            raise BrokenContract(
                f"layer {layer!r} gave maps of {form} after maps of {expected}; all maps of a "
                "layer have one form: look at what the model does with its inputs, or at its "
                "backend"
            )


def _maps_of(activations: Mapping[str, Any], layer: str) -> Tensor:
    try:
        maps = activations[layer]
    except KeyError as error:
        raise BrokenContract(
            f"the model's backend gave no maps of layer {layer!r}"
        ) from error
    if not isinstance(maps, Tensor) or maps.dim() != 4:
        shape = tuple(getattr(maps, "shape", ()))
        raise BrokenContract(
            f"the model's backend gave {type(maps).__name__} {shape} as maps of layer {layer!r}; "
            "expected a tensor (image, unit, row, column)"
        )
    return maps


def _check_images(layer: str, maps: Tensor, images: int) -> None:
    if len(maps) != images:
        raise BrokenContract(
            f"layer {layer!r} gave maps of {len(maps)} images for {images}; a model gives one map "
            "for each image, in their order"
        )


@contextmanager
def forward_pass(
    device: torch.device, images: int, batch: Callable[[], str]
) -> Iterator[None]:
    """Translate what fails in the forward pass of so many images.

    ``batch`` returns the batch's name, for errors. Raises ModelFailed for a broken contract,
    RunFailed where the device has too little memory.
    """
    try:
        yield
    except BrokenContract as error:
        raise ModelFailed(f"{batch()}: {error}") from error
    except torch.OutOfMemoryError as error:
        raise RunFailed(
            f"{device} has too little memory for the model and a batch of {images} images "
            f"({error}); use smaller batches (--batch-size, batch_size=)"
        ) from error
