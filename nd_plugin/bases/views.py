"""Views of layers: their maps in a basis, computed when they are looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nd_plugin.bases.basis import Basis
from nd_plugin.contracts.models import Model
from nd_plugin.contracts.precision import FULL, computed_precision, computing
from nd_plugin.errors import BadInput, ModelFailed, NDError
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.method.finite import at_least_float32

FULL_PRECISIONS = (FULL, "tf32")


@dataclass(frozen=True)
class View:
    """Open view of a layer: its name, the real layer's, and the basis."""

    name: str
    layer: str
    basis: Basis | None

    def maps(self, layer_maps: Tensor) -> Tensor:
        """Return the maps in the basis, of those of the real layer; (image, any, row, column).

        Raises BadInput for another number of units than the basis has, and ModelFailed where it
        fails or returns anything but maps of the same images, rows and columns.
        """
        if self.basis is None:
            return layer_maps
        maps = at_least_float32(layer_maps)
        self._check_units(maps.shape[1])
        try:
            changed = self.basis.transform(maps)
        except (NDError, torch.OutOfMemoryError):
            raise
        except BaseException as error:  # a user's function may raise any
            if not is_failure(error):
                raise
            raise ModelFailed(
                f"{self.name}: the basis fails on maps of shape {tuple(maps.shape)} (image, unit, "
                f"row, column): {describe_error(error)}"
            ) from error
        self._check_result(changed, maps)
        return changed.to(maps.device)

    def _check_units(self, units: int) -> None:
        assert self.basis is not None
        expected = self.basis.units
        if expected is None or expected == units:
            return
        remedy = "choose the layer that it was made for"
        if self.basis.directions == units:
            remedy += (
                ", or transpose it: directions are the rows, units the columns"
            )
        raise BadInput(
            f"basis {self.basis.name} is for layers of {expected} units, and {self.layer!r} has "
            f"{units}; {remedy}"
        )

    def _check_result(self, changed: Any, maps: Tensor) -> None:
        if not isinstance(changed, Tensor):
            raise ModelFailed(
                f"{self.name}: the basis returns a {type(changed).__name__}, not a tensor"
            )
        image_count, _, rows, columns = maps.shape
        shape = tuple(changed.shape)
        is_maps = len(shape) == 4 and shape[1] > 0
        if not is_maps or (shape[0], *shape[2:]) != (image_count, rows, columns):
            raise ModelFailed(
                f"{self.name}: the basis returns shape {shape} for maps of shape "
                f"{tuple(maps.shape)}; only the number of units, axis 1, may change"
            )


class ViewedMaps(Mapping[str, Tensor]):
    """Maps of views by name, each computed when it is looked up."""

    def __init__(
        self,
        views: Mapping[str, View],
        layer_maps: Mapping[str, Tensor],
        model: Model,
    ) -> None:
        self._views = views
        self._layer_maps = layer_maps
        self._model = model

    def __getitem__(self, name: str) -> Tensor:
        view = self._views[name]
        layer_maps = self._layer_maps[view.layer]
        with (
            torch.autocast(layer_maps.device.type, enabled=False),
            _full_precision(self._model),
        ):
            return view.maps(layer_maps)

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


def _full_precision(model: Model) -> AbstractContextManager[None]:
    """Return a context in which products are as exact as the model's, and at least TF32.

    Of a model in half precision the basis is changed in float32.
    """
    if computed_precision(model) in FULL_PRECISIONS:
        return computing(model)
    return nullcontext()
