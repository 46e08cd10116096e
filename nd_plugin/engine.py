"""The dissection of one or many layers in one run over a probe data set.

Two passes: the first observes every activation (exact thresholds, extremes, top images), the second counts masks
against annotations. Callers see `run` alone, and all state is a sum over images, so how often and where the images are
passed through the model is this module's own affair.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from platform import python_version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin.counting import ConceptCounts, Scene, UnitCounts, category_indices
from nd_plugin.dissection import Dissection
from nd_plugin.errors import BadInput, NonFiniteActivation, Unreadable
from nd_plugin.feed import Batch, Feed
from nd_plugin.geometry import Geometry, Size, spread_evenly
from nd_plugin.observation import Observation
from nd_plugin.quantile import rank
from nd_plugin.types import Model, Probe, Provenance, Settings, Skipped

Progress = Callable[[str, int, int], None]  # stage, images done, images in all


def silent(stage: str, done: int, total: int) -> None:
    """Shows no progress."""


@dataclass(frozen=True)
class Passes:
    """The two passes over one feed through one open probe."""

    probe: Probe
    feed: Feed
    device: torch.device
    progress: Progress

    def observe(self) -> tuple[dict[str, Observation], list[Skipped]]:
        """First pass: what is to be known of each layer's activations."""
        seen: dict[str, Observation] = {}
        skipped: list[Skipped] = []
        strict = self.feed.settings.strict  # then a bad annotation stops the run now, not after the first pass
        for batch in self._batches("thresholds", annotated=strict):
            skipped += batch.skipped
            for layer, maps in self._maps(batch).items():
                part = self._observation(layer, maps, batch)
                seen[layer] = seen[layer] + part if layer in seen else part
        if not seen:
            first = skipped[0]
            raise Unreadable(f"none of the {len(skipped)} images can be read; {first.image}: {first.reason}")
        return seen, skipped

    def count(
        self, thresholds: Mapping[str, Tensor], geometries: Mapping[str, Geometry]
    ) -> tuple[ConceptCounts, dict[str, UnitCounts], list[Skipped]]:
        """Second pass: masks against annotations."""
        vocabulary = self.feed.concepts
        category_of, sizes = category_indices(vocabulary), (len(vocabulary.concepts), len(vocabulary.categories))
        areas = ConceptCounts.none(*sizes)
        counts = {layer: UnitCounts.none(len(values), *sizes) for layer, values in thresholds.items()}
        skipped: list[Skipped] = []
        for batch in self._batches("counts", annotated=True):
            skipped += (item for item in batch.skipped if item.part == "annotation")
            activations = self._maps(batch)
            for place, planes in enumerate(batch.planes):
                if planes is None:
                    continue
                scene = Scene.of(planes, category_of, self.device)
                areas.see(scene)
                for layer, maps in activations.items():
                    size = self.feed.preprocess.size
                    counts[layer].see(maps[place], thresholds[layer], geometries[layer], size, scene)
        if not areas.images.any() and skipped:
            first = skipped[0]
            raise Unreadable(f"none of the annotations can be read; {first.image}: {first.reason}")
        return areas, counts, skipped

    def geometry(self, layer: str, cells: Size) -> Geometry:
        """Where the layer's cells look."""
        if self.feed.settings.anchor == "rf":
            return self.probe.geometries[layer]
        return spread_evenly(cells, self.feed.preprocess.size)

    def _batches(self, stage: str, *, annotated: bool) -> Iterator[Batch]:
        done = 0
        self.progress(stage, done, self.feed.images)
        for batch in self.feed.batches(annotated=annotated):
            yield batch
            done += batch.seen
            self.progress(stage, done, self.feed.images)

    def _maps(self, batch: Batch) -> dict[str, Tensor]:
        if not len(batch.indices):
            return {}
        images = self.feed.preprocess.normalise(batch.pixels.to(self.device))
        return {layer: _at_least_float32(maps) for layer, maps in self.probe(images).items()}

    def _observation(self, layer: str, maps: Tensor, batch: Batch) -> Observation:
        low, high = maps.flatten(2).aminmax(dim=2)
        if not (low.isfinite() & high.isfinite()).all():
            raise self._not_finite(layer, maps, batch)
        keep = rank(self.feed.settings.quantile, self.feed.images * maps[0, 0].numel()) + 1
        images = batch.indices.to(maps.device)
        return Observation.of(maps, images, (low, high), keep, self.feed.settings.top_images)

    def _not_finite(self, layer: str, maps: Tensor, batch: Batch) -> NonFiniteActivation:
        image, unit, row, column = (int(place) for place in (~maps.isfinite()).nonzero()[0])
        name = self.feed.concepts.name(int(batch.indices[image]))
        value = float(maps[image, unit, row, column])
        return NonFiniteActivation(
            f"layer {layer!r}, unit {unit}, image {name}: the activation at row {row}, column {column} is {value}; "
            "look at the weights, the preprocessing (mean, std, scale), or an autocast that overflows"
        )


def run(model: Model, layers: Sequence[Any], feed: Feed, progress: Progress = silent) -> list[Dissection]:
    """Dissect ``layers`` of ``model`` on what ``feed`` brings; one Dissection per layer, in the order asked for.

    Raises what the tree in `nd_plugin.errors` says; the model is left as it was found in any case.
    """
    check(feed.settings)
    started, clock = datetime.now(UTC), time.monotonic()
    with torch.no_grad(), model.probe(layers, feed.preprocess.size) as probe:
        passes = Passes(probe, feed, model.device, progress)
        seen, skipped = passes.observe()
        thresholds = {layer: seen[layer].largest.threshold(feed.settings.quantile) for layer in probe.layers}
        geometries = {layer: passes.geometry(layer, seen[layer].cells) for layer in probe.layers}
        areas, counts, unlabelled = passes.count(thresholds, geometries)
    skipped = sorted([*skipped, *unlabelled], key=lambda item: (item.image, item.part))
    made = _provenance(model, feed, started.isoformat(timespec="seconds"), time.monotonic() - clock)
    return [
        Dissection(
            layer=layer,
            categories=tuple(feed.concepts.categories),
            concepts=tuple(feed.concepts.concepts),
            thresholds=_floats(thresholds[layer]),
            intersection=counts[layer].intersection,
            unit_area=counts[layer].unit_area,
            concept_area=areas.area,
            category_images=areas.images,
            minimum=_floats(seen[layer].minimum),
            maximum=_floats(seen[layer].maximum),
            zeros=seen[layer].zeros.cpu().numpy(),
            locations=seen[layer].largest.locations,
            top_images=seen[layer].top.images.cpu().numpy(),
            top_activations=_floats(seen[layer].top.activations),
            image_names=tuple(feed.concepts.name(index) for index in range(feed.images)),
            skipped=tuple(skipped),
            settings=feed.settings,
            provenance=_anchored(made, geometries[layer], feed.settings),
        )
        for layer in probe.layers
    ]


def check(settings: Settings) -> None:
    """Refuse settings that cannot be meant."""
    if not 0 < settings.quantile < 1:
        raise BadInput(f"quantile {settings.quantile} is not between 0 and 1 (the paper's is 0.005)")
    if not 0 <= settings.min_iou < 1:
        raise BadInput(f"min_iou {settings.min_iou} is not between 0 and 1 (the paper's is 0.04)")
    if settings.anchor not in ("rf", "cell"):
        raise BadInput(f"anchor {settings.anchor!r} is neither 'rf' (receptive fields) nor 'cell' (spread evenly)")
    if settings.top_images < 1:
        raise BadInput(f"top_images {settings.top_images} is not a positive number")
    if settings.limit is not None and settings.limit < 1:
        raise BadInput(f"limit {settings.limit} leaves no image")


def _at_least_float32(maps: Tensor) -> Tensor:
    return maps if maps.dtype in (torch.float32, torch.float64) else maps.float()


def _floats(values: Tensor) -> npt.NDArray[np.float64]:
    """To float64, which holds every float32 exactly; -0 becomes 0."""
    return values.double().cpu().numpy() + 0.0


def _provenance(model: Model, feed: Feed, started: str, seconds: float) -> Provenance:
    return Provenance(
        model=model.identity,
        concept_set=feed.concepts.identity,
        backend=model.backend,
        device=str(model.device),
        preprocess=feed.preprocess.describe(),
        geometry={},
        versions=versions(),
        started=started,
        seconds=round(seconds, 3),
        notes=tuple(model.notes),
        extra={"batch_size": feed.batch_size, "workers": feed.workers},
    )


def _anchored(made: Provenance, geometry: Geometry, settings: Settings) -> Provenance:
    """With the layer's geometry; a fallback to evenly spread cells is stated."""
    lost = settings.anchor == "rf" and not geometry.anchored
    note = ("no receptive-field geometry could be derived: the cells are spread evenly over the image",) if lost else ()
    return replace(made, geometry={**asdict(geometry), "source": geometry.source}, notes=made.notes + note)


def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    names = ("nd_plugin", "torch", "numpy", "pillow")
    return {"python": python_version(), **{name: metadata.version(name) for name in names}}
