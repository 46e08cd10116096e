"""Whether two models are the same network inside: an export and its origin, layer by layer.

Both see the same images in one pass; their activations are compared as they come, and both are dissected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nd_plugin.contracts.models import LayerDescription, Model, Probe
from nd_plugin.contracts.provenance import Identity
from nd_plugin.engine.callbacks import Progress, silent
from nd_plugin.engine.run import run
from nd_plugin.errors import BadInput
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.receptive_fields.geometry import Geometry, Size
from nd_plugin.results.dissection import Dissection

FIRST, SECOND = "first:", "second:"


Names = tuple[str, str]  # of one layer, in the first model and in the second


@dataclass(frozen=True)
class LayerParity:
    """How far one layer of two models is apart."""

    layers: Names
    units: int
    difference: float  # the largest between two activations
    largest: float  # activation of the second model, without its sign
    threshold_difference: float  # the largest between two T_k
    iou_difference: float  # the largest between two IoU of a unit and a concept
    labels: tuple[int, ...]  # units whose label differs
    detectors: tuple[int, ...]  # units that are a detector in one of them only
    detector_labels: tuple[int, ...]  # detectors, in either, whose label differs
    counts: tuple[int, int]  # detectors of the first and of the second
    geometry: bool  # whether the receptive fields' centres are the same
    notes: tuple[str, ...] = ()

    @property
    def relative(self) -> float:
        """The largest difference between activations, relative to the largest activation."""
        return self.difference / self.largest if self.largest else self.difference


@dataclass
class Differences:
    """What the passes have seen of the differences between two models."""

    most: dict[Names, float] = field(default_factory=dict)
    largest: dict[Names, float] = field(default_factory=dict)

    def update(self, names: Names, one: Tensor, other: Tensor) -> None:
        """Take in the maps of a batch."""
        apart, size = float((one - other).abs().amax()), float(other.abs().amax())
        self.most[names] = max(self.most.get(names, 0.0), apart)
        self.largest[names] = max(self.largest.get(names, 0.0), size)


@dataclass(frozen=True)
class PairProbe:
    """Probes on both models; a layer of each is known by ``first:`` and ``second:``."""

    first: Probe
    second: Probe
    pair: Pair

    @property
    def names(self) -> list[Names]:
        """The layers' canonical names in both models."""
        return list(zip(self.first.layers, self.second.layers, strict=True))

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers, side by side."""
        return tuple(name for one, other in self.names for name in (FIRST + one, SECOND + other))

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Of all layers."""
        first = {FIRST + name: found for name, found in self.first.geometries.items()}
        return first | {SECOND + name: found for name, found in self.second.geometries.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """Of both."""
        return (*getattr(self.first, "notes", ()), *getattr(self.second, "notes", ()))

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Maps of all layers. Raises BadInput where two that belong together are of different shapes."""
        found = self.first(self.pair.as_wanted(self.pair.first, images))
        others = self.second(self.pair.as_wanted(self.pair.second, images))
        for one, other in self.names:
            a, b = found[one].float(), others[other].float().to(found[one].device)
            if a.shape != b.shape:
                raise BadInput(
                    f"layer {one!r} gives maps of shape {tuple(a.shape[1:])} and {other!r} of {tuple(b.shape[1:])}: "
                    "they are not the same layer; name a pair of them as FIRST=SECOND"
                )
            self.pair.differences.update((one, other), a, b)
        first = {FIRST + name: maps for name, maps in found.items()}
        return first | {SECOND + name: maps.to(images.device) for name, maps in others.items()}


@dataclass(frozen=True)
class Pair:
    """Two models as one, for the engine: its layers are pairs of names."""

    first: Model
    second: Model
    how: Preprocess | None = (
        None  # of the images that come: each model gets them its own way, where it knows one
    )
    differences: Differences = field(default_factory=Differences)
    backend: str = "pair"

    @property
    def identity(self) -> Identity:
        """Of both."""
        one, other = self.first.identity, self.second.identity
        return Identity(
            "pair",
            f"{one.source} and {other.source}",
            one.version,
            one.fingerprint + other.fingerprint,
        )

    @property
    def preprocess(self) -> Preprocess:
        """The second model's: the origin knows more than its export."""
        return self.second.preprocess

    @property
    def device(self) -> torch.device:
        """The first model's."""
        return self.first.device

    @property
    def notes(self) -> tuple[str, ...]:
        """Of both."""
        return (*self.first.notes, *self.second.notes)

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """Those of the first model."""
        return self.first.layers(size)

    @contextmanager
    def probe(self, layers: Sequence[Names], size: Size) -> Iterator[PairProbe]:
        """Open a probe on pairs of layers."""
        with ExitStack() as stack:
            first = stack.enter_context(self.first.probe([one for one, _ in layers], size))
            second = stack.enter_context(self.second.probe([other for _, other in layers], size))
            yield PairProbe(first, second, self)

    def as_wanted(self, model: Model, images: Tensor) -> Tensor:
        """A batch as a model wants it, on its device."""
        known = self.how is not None and not model.preprocess.assumed
        found = (
            model.preprocess.renormalised(images, self.how)
            if known and self.how is not None
            else images
        )
        return found.to(model.device)


def parity(
    first: Model,
    second: Model,
    layers: Sequence[Names],
    feed: Feed,
    progress: Progress = silent,
    *,
    own: bool = True,
) -> list[LayerParity]:
    """Compare layers of two models on the images of ``feed``.

    ``layers`` are pairs of names, in the first model and in the second. With ``own`` each model gets the images
    normalised as it says itself, where it does, else as the feed does. Raises BadInput where a pair is of different
    shapes, and what `nd_plugin.engine.run.run` raises.
    """
    pair = Pair(first, second, feed.preprocess if own else None)
    found = run(pair, layers, feed, progress)
    return [
        _compared(one, other, pair.differences)
        for one, other in zip(found[::2], found[1::2], strict=True)
    ]


def _compared(one: Dissection, other: Dissection, differences: Differences) -> LayerParity:
    names = (one.layer.removeprefix(FIRST), other.layer.removeprefix(SECOND))
    detects = [
        np.array([score.detector for score in found.unit_scores()]) for found in (one, other)
    ]
    labels = one.labels != other.labels
    geometries = [{**found.provenance.geometry} for found in (one, other)]
    return LayerParity(
        layers=names,
        units=one.units,
        difference=differences.most[names],
        largest=differences.largest[names],
        threshold_difference=float(np.abs(one.thresholds - other.thresholds).max(initial=0)),
        iou_difference=float(np.abs(one.iou - other.iou).max(initial=0)),
        labels=tuple(np.flatnonzero(labels).tolist()),
        detectors=tuple(np.flatnonzero(detects[0] != detects[1]).tolist()),
        detector_labels=tuple(np.flatnonzero(labels & (detects[0] | detects[1])).tolist()),
        counts=(int(detects[0].sum()), int(detects[1].sum())),
        geometry=geometries[0] == geometries[1],
        notes=one.provenance.notes,
    )
