"""Probes: compiled parts of a model, whose values are returned as activation maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nd_openvino.image_input import ANY, Size
from nd_openvino.loaded_model import LoadedModel, Runner
from nd_openvino.placing import Layer, measure
from nd_openvino.survey import Survey
from nd_plugin import (
    ONE_AT_A_TIME,
    Geometry,
    ModelFailed,
    NoiseRun,
    Placement,
    Reproducibility,
    UnitsNotFound,
    examine_reproducibility,
)

FIXED_BATCH = "the model takes {} only: images were run one at a time"


@dataclass(frozen=True)
class OpenVinoProbe:
    """Runner of a part of a model that returns the maps of some layers."""

    runner: Runner
    placements: Mapping[str, Placement]  # by layer
    is_single: bool  # images are run one at a time
    batch_note: str = ""
    # reasons why the same image may give other maps
    unreliable: tuple[str, ...] = ()
    noise_run: NoiseRun | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the probed layers, in the order of the request."""
        return tuple(self.placements)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Receptive-field geometry of each layer."""
        return {
            name: placement.geometry for name, placement in self.placements.items()
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader of the results, each once."""
        notes: list[str] = []
        for placement in self.placements.values():
            notes += placement.notes
        if self.batch_note:
            notes.append(self.batch_note)
        return tuple(dict.fromkeys(notes))

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the maps (image, unit, row, column) of each layer. Raises ModelFailed."""
        if not self.is_single:
            return self._maps(images)
        maps_of_images = [
            self._maps(images[index : index + 1]) for index in range(len(images))
        ]
        joined: dict[str, Tensor] = {}
        for name in self.layers:
            joined[name] = torch.cat([maps[name] for maps in maps_of_images])
        return joined

    def _maps(self, images: Tensor) -> dict[str, Tensor]:
        values = self.runner(images)
        maps_by_layer: dict[str, Tensor] = {}
        for (name, placement), value in zip(
            self.placements.items(), values, strict=True
        ):
            maps = placement.layout.maps(value)
            if self.runner.copies > 1:
                maps = maps[: len(images)]
            if len(maps) != len(images):
                raise UnitsNotFound(
                    f"layer {name!r} returns {len(maps)} maps for {len(images)} images; choose a "
                    "neighbouring layer"
                )
            maps_by_layer[name] = maps.contiguous()
        return maps_by_layer


def open_probe(
    loaded: LoadedModel, layers: Sequence[Layer], surveyed: Survey, size: Size
) -> OpenVinoProbe:
    """Open a probe on layers, for images of a size.

    Images are run in batches where these give what single images give.
    """
    measurements = measure(loaded, layers, surveyed, size)
    placements: dict[str, Placement] = {}
    for layer in layers:
        measurement = measurements.get(layer.value.name)
        placements[layer.name] = layer.place(surveyed, size, measurement)
    distinct = {layer.name: layer.value.name for layer in layers}
    values = list(distinct.values())
    if surveyed.is_fixed:
        runner = loaded.runner(values, surveyed.batch, size, surveyed.batch)
        count = "1 image" if surveyed.batch == 1 else f"{surveyed.batch} images"
        note = FIXED_BATCH.format(f"a batch of {count}")
        probe = OpenVinoProbe(runner, placements, True, note)
        return _with_findings(probe, _examine(loaded, probe, size))
    runner = loaded.runner(values, ANY, size)
    probe = OpenVinoProbe(runner, placements, False)
    examined = _examine(loaded, probe, size)
    if examined is None or examined.needs_single_images:
        probe = replace(probe, is_single=True, batch_note=ONE_AT_A_TIME)
        examined = _examine(loaded, probe, size)
    return _with_findings(probe, examined)


def _with_findings(
    probe: OpenVinoProbe, examined: Reproducibility | None
) -> OpenVinoProbe:
    if examined is None:
        return probe
    return replace(
        probe, unreliable=examined.unreliable, noise_run=examined.noise_run
    )


def _examine(
    loaded: LoadedModel, probe: OpenVinoProbe, size: Size
) -> Reproducibility | None:
    """Compare batches of noise with single images and a second run; None where a run fails."""
    try:
        return examine_reproducibility(probe, loaded.image.noise(2, size))
    except (ModelFailed, UnitsNotFound, RuntimeError):
        return None
