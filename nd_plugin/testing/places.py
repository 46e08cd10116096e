"""Places verified: derived centres of cells against those measured on perturbed images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch

from nd_plugin.contracts.models import LayerDescription, Model
from nd_plugin.machine.size_groups import groups_by_size
from nd_plugin.receptive_fields.geometry import Geometry, Size
from nd_plugin.receptive_fields.layout import MapLayout
from nd_plugin.receptive_fields.measured_centres import (
    Deviation,
    GridResponse,
    measure_deviation,
    measured_geometry,
)
from nd_plugin.receptive_fields.perturbation import (
    IMAGES,
    PerturbedImages,
    Response,
    perturb,
)
from nd_plugin.receptive_fields.placement import MAX_DEVIATION

IMAGE_UNIT_ROW_COLUMN = MapLayout((0, 1, 2, 3), None)
# of the maps of layers that are probed together: 256 MiB of float32
GROUP_ELEMENTS = 2**26


@dataclass(frozen=True)
class VerifiedPlace:
    """Geometry of a layer that a probe states, and what was measured."""

    layer: str
    stated: Geometry
    measured: Geometry | None  # None: cells do not tell places apart well enough
    deviation: Deviation  # of measured from stated centres, in cells
    # by more than half a cell, and more than random weights may look to one side
    differs: bool

    @property
    def verdict(self) -> str:
        """Result in a word: agrees, differs, or not measurable."""
        if self.deviation.rows is None and self.deviation.columns is None:
            return "not measurable"
        return "differs" if self.differs else "agrees"


def verify_places(
    model: Model, layers: Sequence[LayerDescription], size: Size
) -> Iterator[VerifiedPlace]:
    """Measure the places of layers' cells through probes, whatever the backend.

    ``size`` is (height, width) of the input in pixels. Layers of a single cell are left out.
    """
    with_cells = [layer for layer in layers if _has_cells(layer)]
    images = perturbed_noise(model, size)
    for group in groups_by_size(with_cells, _element_count, GROUP_ELEMENTS):
        with model.probe([layer.name for layer in group], size) as probe:
            maps_by_layer = probe(images.images)
            for layer, maps in maps_by_layer.items():
                yield place_of_maps(
                    layer, maps, probe.geometries[layer], images, size
                )


def perturbed_noise(model: Model, size: Size) -> PerturbedImages:
    """Return noise pixels, normalised as the model asks for, and perturbed band by band."""
    generator = torch.Generator("cpu").manual_seed(0)
    channels = model.preprocess.channels
    shape = (1, channels, *size)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    (image,) = model.preprocess.normalise(pixels).to(model.device)
    return perturb(image)


def place_of_maps(
    layer: str,
    maps: torch.Tensor,
    stated: Geometry,
    images: PerturbedImages,
    size: Size,
) -> VerifiedPlace:
    """Measure the place of a layer's cells, by its maps of the perturbed images."""
    response = Response.of_output(maps, 0)
    grid = GridResponse.of_layout(response, IMAGE_UNIT_ROW_COLUMN)
    assert grid is not None
    deviation = measure_deviation(grid, images, stated)
    beyond_chance = deviation.beyond_chance(stated, units=maps.shape[1])
    return VerifiedPlace(
        layer,
        stated,
        measured_geometry(grid, images, size),
        deviation,
        differs=beyond_chance.largest > MAX_DEVIATION,
    )


def _element_count(layer: LayerDescription) -> int:
    """Count the elements of a layer's maps of the perturbed images."""
    return IMAGES * prod(layer.shape or ())


def _has_cells(layer: LayerDescription) -> bool:
    return layer.shape is not None and prod(layer.shape[2:]) > 1
