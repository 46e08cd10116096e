"""The dissection of one or many layers in one run over a probe data set.

One forward pass: it observes every activation (exact thresholds, extremes, top images) and keeps the maps that may
exceed their unit's threshold; masks follow from these and the annotations alone. A layer whose candidates take more
memory than allowed is counted in a second forward pass, and says so. All state is a sum over images.
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

from nd_plugin.candidates import Candidates
from nd_plugin.counting import ConceptCounts, Scene, UnitCounts, category_indices
from nd_plugin.dissection import Dissection
from nd_plugin.errors import BadInput, NonFiniteActivation, Unreadable
from nd_plugin.feed import Batch, Feed
from nd_plugin.geometry import Geometry, Size, spread_evenly
from nd_plugin.observation import Observation
from nd_plugin.quantile import rank
from nd_plugin.types import Model, Probe, Provenance, Settings, Skipped

NEARLY = 0.9  # of the memory: what pruning has to come down to, so that it is not done for every batch
Progress = Callable[[str, int, int], None]  # stage, images done, images in all


def silent(stage: str, done: int, total: int) -> None:
    """Shows no progress."""


@dataclass(frozen=True)
class Seen:
    """What the pass over the images leaves."""

    layers: dict[str, Observation]
    candidates: dict[str, Candidates]  # of the layers whose candidates fit into memory
    readable: frozenset[int]  # images
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class Passes:
    """One pass over the images, one over the annotations; the model runs again only for layers over the budget."""

    probe: Probe
    feed: Feed
    device: torch.device
    progress: Progress

    def observe(self) -> Seen:
        """The pass over the images: exact thresholds, and the maps that may exceed them."""
        seen: dict[str, Observation] = {}
        kept = {layer: Candidates() for layer in self.probe.layers}
        readable: set[int] = set()
        skipped: list[Skipped] = []
        strict = self.feed.settings.strict  # then a bad annotation stops the run now, not after the pass
        for batch in self._batches("thresholds", annotated=strict):
            skipped += batch.skipped
            readable.update(batch.indices.tolist())
            for layer, maps in self._maps(batch).items():
                self._see(layer, maps, batch, seen, kept)
            self._keep_within_memory(kept, seen)
        if not seen:
            first = skipped[0]
            raise Unreadable(f"none of the {len(skipped)} images can be read; {first.image}: {first.reason}")
        return Seen(seen, kept, frozenset(readable), tuple(skipped))

    def _see(
        self, layer: str, maps: Tensor, batch: Batch, seen: dict[str, Observation], kept: dict[str, Candidates]
    ) -> None:
        low, high = maps.flatten(2).aminmax(dim=2)
        if not (low.isfinite() & high.isfinite()).all():
            raise self._not_finite(layer, maps, batch)
        keep = rank(self.feed.settings.quantile, self.feed.images * maps[0, 0].numel()) + 1
        images = batch.indices.to(maps.device)
        part = Observation.of(maps, images, (low, high), keep, self.feed.settings.top_images)
        seen[layer] = seen[layer] + part if layer in seen else part
        if layer in kept:
            kept[layer].see(maps, images, high, seen[layer].largest.bound)

    def _keep_within_memory(self, kept: dict[str, Candidates], seen: Mapping[str, Observation]) -> None:
        """Forget what the bounds rule out by now; while that is too little, give up the largest layer's candidates."""
        if sum(candidates.nbytes for candidates in kept.values()) <= self.feed.memory:
            return
        for layer, candidates in kept.items():
            candidates.prune(seen[layer].largest.bound)
        while kept and sum(candidates.nbytes for candidates in kept.values()) > NEARLY * self.feed.memory:
            del kept[max(kept, key=lambda layer: kept[layer].nbytes)]

    def count(
        self, seen: Seen, thresholds: Mapping[str, Tensor], geometries: Mapping[str, Geometry]
    ) -> tuple[ConceptCounts, dict[str, UnitCounts], list[Skipped]]:
        """The pass over the annotations: masks against concepts."""
        vocabulary = self.feed.concepts
        device = next(iter(thresholds.values())).device  # where the maps are, a forward function's too
        category_of, sizes = category_indices(vocabulary), (len(vocabulary.concepts), len(vocabulary.categories))
        areas = ConceptCounts.none(*sizes)
        counts = {layer: UnitCounts.none(len(values), *sizes) for layer, values in thresholds.items()}
        by_image = {layer: candidates.by_image() for layer, candidates in seen.candidates.items()}
        again = [layer for layer in self.probe.layers if layer not in by_image]
        unread = {item.image for item in seen.skipped if item.part == "image"}
        skipped: list[Skipped] = []
        for batch in self._batches("counts", pictures=bool(again), annotated=True):
            skipped += (item for item in batch.skipped if item.part == "annotation" and item.image not in unread)
            activations = self._maps(batch) if again else {}
            for place, (image, planes) in enumerate(zip(batch.indices.tolist(), batch.planes, strict=True)):
                if planes is None or image not in seen.readable:
                    continue
                scene = Scene.of(planes, category_of, device)
                areas.see(scene)
                found = {layer: every[image] for layer, every in by_image.items() if image in every}
                found.update({layer: _all_units(activations[layer][place]) for layer in again})
                for layer, (units, maps) in found.items():
                    size = self.feed.preprocess.size
                    counts[layer].see(units, maps, thresholds[layer], geometries[layer], size, scene)
        if not areas.images.any() and skipped:
            first = skipped[0]
            raise Unreadable(f"none of the annotations can be read; {first.image}: {first.reason}")
        return areas, counts, skipped

    def geometry(self, layer: str, cells: Size) -> Geometry:
        """Where the layer's cells look."""
        if self.feed.settings.anchor == "rf":
            return self.probe.geometries[layer]
        return spread_evenly(cells, self.feed.preprocess.size)

    def _batches(self, stage: str, *, pictures: bool = True, annotated: bool) -> Iterator[Batch]:
        done = 0
        self.progress(stage, done, self.feed.images)
        for batch in self.feed.batches(pictures=pictures, annotated=annotated):
            yield batch
            done += batch.seen
            self.progress(stage, done, self.feed.images)

    def _maps(self, batch: Batch) -> dict[str, Tensor]:
        if not len(batch.indices):
            return {}
        images = self.feed.preprocess.normalise(batch.pixels.to(self.device))
        return {layer: _at_least_float32(maps) for layer, maps in self.probe(images).items()}

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
        whole = passes.observe()
        seen = whole.layers
        thresholds = {layer: seen[layer].largest.threshold(feed.settings.quantile) for layer in probe.layers}
        geometries = {layer: passes.geometry(layer, seen[layer].cells) for layer in probe.layers}
        areas, counts, unlabelled = passes.count(whole, thresholds, geometries)
    skipped = sorted([*whole.skipped, *unlabelled], key=lambda item: (item.image, item.part))
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
            provenance=_noted(made, geometries[layer], feed.settings, again=layer not in whole.candidates),
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


def _all_units(maps: Tensor) -> tuple[Tensor, Tensor]:
    return torch.arange(len(maps), device=maps.device), maps


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


def _noted(made: Provenance, geometry: Geometry, settings: Settings, *, again: bool) -> Provenance:
    """With the layer's geometry; evenly spread cells and a second forward pass are stated."""
    notes = []
    if settings.anchor == "rf" and not geometry.anchored:
        notes.append("no receptive-field geometry could be derived: the cells are spread evenly over the image")
    if again:
        notes.append("the candidates took more than the memory allowed: the images went through the model twice")
    found = {**asdict(geometry), "source": geometry.source}
    return replace(made, geometry=found, notes=(*made.notes, *notes))


def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    names = ("nd_plugin", "torch", "numpy", "pillow")
    return {"python": python_version(), **{name: metadata.version(name) for name in names}}
