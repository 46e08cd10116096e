"""Activations of a run, recorded while it computes them.

The last bits of an activation depend on the processor, on the batch around an image and on the
number of threads. Whoever wants to count what a run counted, to the last integer, has to count with
the very activations of that run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

Array = npt.NDArray[np.float32]

# Pixels that two programs have normalised differ in the last bits; two images differ by far more.
PIXEL_TOLERANCE = 1e-5
EVERY = 101  # pixels from one that is compared to the next one, to tell which image it is


class Recorder:
    """Maps of some layers for known images, in whatever order and batches a run sees them.

    Other images, such as the noise with which a backend surveys a model, are passed over.
    """

    def __init__(self, images: Array) -> None:
        self.images = (
            images  # (image, channel, row, column), as the network takes them
        )
        self.samples = images.reshape(len(images), -1)[:, ::EVERY]
        self.maps_of: dict[str, dict[int, Array]] = {}
        self.batch: list[int | None] = []

    def see(self, batch: Tensor) -> None:
        """Note which images go through the model now."""
        self.batch = [
            self._index(pixels) for pixels in batch.detach().cpu().numpy()
        ]

    def take(self, layer: str, maps: Tensor) -> None:
        """Copy what a layer gives for them."""
        values = maps.detach().cpu().numpy().copy()
        for index, map_ in zip(self.batch, values, strict=True):
            if index is not None:
                self.maps_of.setdefault(layer, {})[index] = map_

    def maps(self, layer: str) -> list[Array]:
        """Return the maps (unit, row, column) of a layer, image by image."""
        maps = self.maps_of[layer]
        assert sorted(maps) == list(range(len(self.images))), (
            f"{layer} was not seen for all images"
        )
        return [maps[index] for index in range(len(self.images))]

    def _index(self, pixels: Array) -> int | None:
        if pixels.shape != self.images.shape[1:]:
            return None
        distances = np.abs(self.samples - pixels.reshape(-1)[::EVERY]).max(1)
        (indices,) = np.nonzero(distances <= PIXEL_TOLERANCE)
        if not len(indices):
            return None
        (index,) = indices.tolist()
        assert float(np.abs(self.images[index] - pixels).max()) <= PIXEL_TOLERANCE
        return int(index)


def record_module(
    recorder: Recorder, model: nn.Module, layers: Sequence[str]
) -> None:
    """Record what layers of a module give, by plain hooks."""
    model.register_forward_pre_hook(lambda _, inputs: recorder.see(inputs[0]))
    for layer in layers:
        model.get_submodule(layer).register_forward_hook(
            lambda _, __, output, layer=layer: recorder.take(layer, output)
        )


def recording_call(recorder: Recorder, call: Any) -> Any:
    """Return the ``__call__`` of a probe class, which also records what its probes give."""

    def recorded(probe: Any, images: Tensor) -> Mapping[str, Tensor]:
        maps_by_layer: Mapping[str, Tensor] = call(probe, images)
        recorder.see(images)
        for layer, maps in maps_by_layer.items():
            recorder.take(layer, maps)
        return maps_by_layer

    return recorded


def assert_near(
    maps: Sequence[Array], expected: Sequence[Array], relative: float
) -> None:
    """Assert that maps differ by no more than a share of the largest of all expected values."""
    largest = max(float(np.abs(map_).max()) for map_ in expected)
    for map_, expected_map in zip(maps, expected, strict=True):
        np.testing.assert_allclose(
            map_, expected_map, rtol=0, atol=relative * largest
        )


def clear_winners(
    iou: npt.NDArray[np.float64], tolerance: float
) -> npt.NDArray[np.bool_]:
    """Return the units (unit,) whose best concept stays best if IoUs move by ``tolerance``."""
    ascending = np.sort(iou, axis=1)
    return np.asarray(ascending[:, -1] - ascending[:, -2] > 2 * tolerance)
