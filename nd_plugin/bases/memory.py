"""Memory of virtual layers: how many images a batch may have for all their maps to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nd_plugin.bases.basis import Basis
from nd_plugin.contracts.models import Model
from nd_plugin.receptive_fields.geometry import Size

BYTES_PER_VALUE = 4
# of the memory for maps: a batch's maps of all views, which are there at the same time
SHARE_OF_MEMORY = 0.25
# of a free GPU, beside what the engine takes (40 %)
SHARE_OF_DEVICE = 0.1


@dataclass(frozen=True)
class LayerShape:
    """Layer as a probe gives it: its name, and the size of its maps."""

    name: str
    units: int
    cells: tuple[int, int]  # rows and columns


def measure_layer(model: Model, layer: Any, size: Size) -> LayerShape:
    """Return a layer's canonical name and the size of its maps, from one black image."""
    channels = model.preprocess.channels
    with torch.no_grad(), model.probe([layer], size) as probe:
        image = torch.zeros(1, channels, *size, device=model.device)
        (name,) = probe.layers
        maps = probe(image)[name]
    _, units, rows, columns = maps.shape
    return LayerShape(name, units, (rows, columns))


def view_bytes(shape: LayerShape, bases: Sequence[Basis | None]) -> int:
    """Return the bytes of the maps of all views for one image."""
    rows, columns = shape.cells
    directions = [
        shape.units if basis is None else basis.directions or shape.units
        for basis in bases
    ]
    return BYTES_PER_VALUE * rows * columns * sum(directions)


def fitting_batch_size(
    batch_size: int, bytes_per_image: int, memory: int, device: torch.device
) -> int:
    """Return ``batch_size``, or fewer images where their maps would take too much; at least 1.

    ``memory`` is what the run has for maps, in bytes.
    """
    budget = int(SHARE_OF_MEMORY * memory)
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        budget = int(SHARE_OF_DEVICE * free_bytes)
    return max(1, min(batch_size, budget // max(bytes_per_image, 1)))
