"""Features of images: each unit's activation, averaged over the locations of its map."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin.contracts.map_checks import MapForms
from nd_plugin.contracts.models import Model, Probe
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.errors import ModelFailed, NonFiniteActivation, RunFailed
from nd_plugin.machine.transfers import to_device
from nd_plugin.method.finite import at_least_float32
from nd_plugin.probe_data.batch import Batch
from nd_plugin.probe_data.batches import Feed
from nd_plugin.report.terminal import plural

POOLING = "average over the locations of the map"
STAGE = "features"

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PooledFeatures:
    """Features of layers, images that were read, and notes about those that were not."""

    images: Integers  # (row,) index into the labelled images
    by_layer: dict[str, Floats]  # (row, unit) each
    notes: tuple[str, ...]


def pooled_features(
    model: Model, layers: Sequence[str], feed: Feed, progress: Progress = silent
) -> PooledFeatures:
    """Compute the features of several layers in one forward pass over the images of a feed.

    Rows are in the order of the images. Raises NonFiniteActivation, RunFailed, Unreadable and
    ModelFailed as a dissection does.
    """
    rows = _Rows()
    forms = MapForms()
    opening = model.probe(layers, feed.preprocess.size)
    with (
        closing(feed.batches(annotated=False)) as batches,
        torch.no_grad(),
        opening as probe,
    ):
        notes = _notes_of_probe(probe, feed)
        images_done = 0
        progress(STAGE, images_done, feed.images)
        for batch in batches:
            rows.add(batch, _pooled_batch(model, probe, feed, batch, forms))
            images_done += batch.image_count
            progress(STAGE, images_done, feed.images)
    return rows.features(notes)


@dataclass(eq=False)
class _Rows:
    """Features of the batches so far, in the order in which they come."""

    images: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    by_layer: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, batch: Batch, features: dict[str, Tensor]) -> None:
        """Add the features of a batch, (image, unit) by layer."""
        self.images += batch.indices.tolist()
        self.skipped += [f"{item.image}: {item.reason}" for item in batch.skipped]
        for layer, pooled in features.items():
            self.by_layer.setdefault(layer, []).append(pooled)

    def features(self, notes: Sequence[str]) -> PooledFeatures:
        """Return all features in the order of the images. Raises RunFailed where there are none."""
        if not self.images:
            raise RunFailed(f"no image can be read; the first is {self.skipped[0]}")
        images = np.array(self.images, dtype=np.int64)
        order = np.argsort(images, kind="stable")
        by_layer = {
            layer: torch.cat(pooled).numpy()[order]
            for layer, pooled in self.by_layer.items()
        }
        all_notes = (*notes, *_notes_of_skipped(self.skipped))
        return PooledFeatures(images[order], by_layer, all_notes)


def _pooled_batch(
    model: Model, probe: Probe, feed: Feed, batch: Batch, forms: MapForms
) -> dict[str, Tensor]:
    """Return the features of a batch by layer, float64 (image, unit) on the CPU."""
    if not len(batch.indices):
        return {}
    pixels = to_device(batch.pixels, model.device)
    layers = list(dict.fromkeys(probe.layers))
    with batch.forward_pass(model.device, feed.concepts):
        activations = probe(feed.preprocess.normalise(pixels))
        maps_of = forms.check(activations, layers, len(pixels))
    features: dict[str, Tensor] = {}
    for layer, layer_maps in maps_of.items():
        maps = at_least_float32(layer_maps)
        pooled = maps.mean((2, 3), dtype=torch.float64).cpu()
        _check_finite(layer, pooled, feed, batch)
        features[layer] = pooled
    return features


def _check_finite(layer: str, pooled: Tensor, feed: Feed, batch: Batch) -> None:
    positions = (~pooled.isfinite()).nonzero()
    if not len(positions):
        return
    row, unit = positions[0].tolist()
    image = feed.concepts.name(int(batch.indices[row]))
    raise NonFiniteActivation(
        f"layer {layer!r}, unit {unit}, image {image}: the average activation is "
        f"{float(pooled[row, unit])}; look at the weights, the preprocessing (mean, std, scale), "
        "or an autocast that overflows"
    )


def _notes_of_probe(probe: Probe, feed: Feed) -> list[str]:
    """Return the notes of a probe. Raises ModelFailed under ``strict`` for unreliable layers."""
    unreliable = tuple(getattr(probe, "unreliable", ()))
    if feed.settings.strict and unreliable:
        raise ModelFailed(f"{'; '.join(unreliable)} (or run without --strict)")
    return [*getattr(probe, "notes", ()), *unreliable]


def _notes_of_skipped(skipped: Sequence[str]) -> list[str]:
    if not skipped:
        return []
    count = len(skipped)
    return [
        f"{count} {plural(count, 'image')} could not be read; the first is {min(skipped)}"
    ]
