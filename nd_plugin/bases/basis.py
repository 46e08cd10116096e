"""Basis: a function of a layer's maps, with what tells it from any other basis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

# maps (image, unit, row, column) to maps (image, direction, row, column)
Transform = Callable[[Tensor], Tensor]
SEPARATOR = "@"  # of a layer's name and its basis


@dataclass(frozen=True, eq=False)
class Basis:
    """Basis in which a layer's maps are seen: its directions stand in the place of units.

    ``transform`` maps (image, unit, row, column) to (image, direction, row, column), on the device
    of the maps, and leaves rows and columns as they are. It gets float32 or float64, and must not
    change its argument.
    """

    name: str  # such as "rotation(alpha=0.4,seed=2)"
    transform: Transform
    fingerprint: str  # of what the transform computes
    units: int | None = None  # that the layer must have; None: any number
    directions: int | None = None  # None: known when it runs
    notes: tuple[str, ...] = ()  # guesses that were made, shown with results
    # what else identifies the basis in provenance, as plain values
    description: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class LayerView:
    """Layer of a model, seen in a basis; None: in its own."""

    layer: Any  # a name, or an object of the backend
    basis: Basis | None = None


def view_name(layer: str, basis: Basis | None) -> str:
    """Return the name of a layer seen in a basis, such as ``layer4@pca.npz``."""
    return layer if basis is None else f"{layer}{SEPARATOR}{basis.name}"
