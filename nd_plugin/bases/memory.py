"""Memory of virtual layers: how many images a batch may have for all their maps to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from nd_plugin.bases.basis import Basis
from nd_plugin.contracts.models import Model
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.receptive_fields.geometry import Size

BYTES_PER_VALUE = 4
# Of the memory for maps: a batch's maps of all views, which are there at the same time. What the
# first batches leave, while bounds of thresholds are low, takes several times as much.
SHARE_OF_MEMORY = 1 / 8
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


def fitting_feed(
    feed: Feed,
    bytes_per_image: int,
    device: torch.device,
    group: SingleProcess | None = None,
) -> tuple[Feed, str]:
    """Return the feed with batches whose maps fit in memory, and a note if these are smaller.

    Every process of a ``group`` gets the same batch size; a batch has one image at least.
    """
    budget = int(SHARE_OF_MEMORY * feed.memory)
    remedy = " (a larger --memory allows more)"
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        budget = int(SHARE_OF_DEVICE * free_bytes)
        remedy = f" of {device}"
    fitting = max(1, min(feed.batch_size, budget // max(bytes_per_image, 1)))
    batch_size = min((group or SingleProcess()).gather(fitting))
    if batch_size == feed.batch_size:
        return feed, ""
    note = (
        f"batches of {batch_size}, not {feed.batch_size} images: the maps of all bases take "
        f"{bytes_per_image / 2**20:.3g} MiB an image{remedy}"
    )
    return replace(feed, batch_size=batch_size), note
