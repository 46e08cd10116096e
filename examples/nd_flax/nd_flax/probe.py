"""Probes: activation maps of layers, out of compiled passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nd_flax.recording import Entry
from nd_plugin import (
    ONE_AT_A_TIME,
    Geometry,
    NoiseRun,
    Placement,
    Reproducibility,
    UnitsNotFound,
    examine_reproducibility,
)

Outputs = Callable[[tuple[Entry, ...], Tensor], Sequence[Tensor]]


@dataclass
class FlaxProbe:
    """Open look into layers of a model."""

    outputs: Outputs
    entries: Mapping[str, Entry]  # by name of the layer, in the order requested
    placements: Mapping[str, Placement]
    reproducibility: Reproducibility = field(default_factory=Reproducibility)

    @property
    def layers(self) -> tuple[str, ...]:
        """Canonical names of the probed layers, in the order requested."""
        return tuple(self.entries)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Geometry of each layer's cells, by name."""
        return {
            name: placement.geometry for name, placement in self.placements.items()
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on how cells were placed and images were run."""
        notes: list[str] = []
        for placement in self.placements.values():
            notes += placement.notes
        if self.reproducibility.needs_single_images:
            notes.append(ONE_AT_A_TIME)
        return tuple(notes)

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Reasons why the same image may give other maps."""
        return self.reproducibility.unreliable

    @property
    def noise_run(self) -> NoiseRun | None:
        """Noise that was run to find what is not reproducible, and its maps."""
        return self.reproducibility.noise_run

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return maps (image, unit, row, column) of each layer.

        Raises ModelFailed, UnitsNotFound.
        """
        if not self.reproducibility.needs_single_images:
            return self._run(images)
        maps_of_images = [self._run(image[None]) for image in images]
        return {
            name: torch.cat([maps[name] for maps in maps_of_images])
            for name in self.layers
        }

    def examine(self, images: Tensor) -> None:
        """Find out on noise which layers' maps depend on chance, or on the rest of the batch."""
        self.reproducibility = examine_reproducibility(self, images)

    def _run(self, images: Tensor) -> Mapping[str, Tensor]:
        outputs = self.outputs(tuple(self.entries.values()), images)
        maps_of: dict[str, Tensor] = {}
        for name, output in zip(self.layers, outputs, strict=True):
            maps = self.placements[name].layout.maps(output)
            check_image_count(maps, len(images), name)
            # a copy, in NCHW: the memory of the output is XLA's
            maps_of[name] = maps.clone(memory_format=torch.contiguous_format)
        return maps_of


def check_image_count(maps: Tensor, image_count: int, layer: str) -> None:
    """Check that ``maps`` (image, unit, row, column) are one per image. Raises UnitsNotFound."""
    if len(maps) != image_count:
        raise UnitsNotFound(
            f"layer {layer!r} returns maps of {len(maps)} images for a batch of {image_count}; "
            "choose a layer with one map per image"
        )
