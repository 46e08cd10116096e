"""Parity of two models, such as an export and its origin: layer by layer, the same network inside.

One pass over the images feeds both models. Activations are compared batch by batch, and both models
are dissected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
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

FIRST = "first:"  # prefix of the first model's layers
SECOND = "second:"

T = TypeVar("T")

Names = tuple[str, str]  # of one layer, in the first model and in the second


@dataclass(frozen=True)
class LayerParity:
    """Differences between one layer of two models."""

    layers: Names
    units: int
    difference: (
        float  # largest |activation of the first - activation of the second|
    )
    largest: float  # largest |activation of the second|
    threshold_difference: float  # largest |T_k of the first - T_k of the second|
    iou_difference: float  # largest difference of an IoU of a unit and a concept
    labels: tuple[int, ...]  # units whose label differs
    detectors: tuple[int, ...]  # units that are a detector in one model only
    # detectors, in either model, whose label differs
    detector_labels: tuple[int, ...]
    counts: tuple[int, int]  # detectors of the first and of the second
    geometry: bool  # whether the receptive fields' centres are the same
    notes: tuple[str, ...] = ()

    @property
    def relative(self) -> float:
        """Largest difference between activations, relative to the largest activation."""
        return self.difference / self.largest if self.largest else self.difference


@dataclass
class Differences:
    """Largest differences between activations of two models, over all batches so far."""

    largest_difference: dict[Names, float] = field(default_factory=dict)
    # of the second model
    largest_activation: dict[Names, float] = field(default_factory=dict)

    def update(self, names: Names, first_maps: Tensor, second_maps: Tensor) -> None:
        """Take in a batch's maps of one layer, (image, unit, row, column)."""
        difference = float((first_maps - second_maps).abs().amax())
        activation = float(second_maps.abs().amax())
        self.largest_difference[names] = max(
            self.largest_difference.get(names, 0.0), difference
        )
        self.largest_activation[names] = max(
            self.largest_activation.get(names, 0.0), activation
        )


@dataclass(frozen=True)
class PairProbe:
    """Probes of both models as one probe; its layers have the prefixes first: and second:."""

    first: Probe
    second: Probe
    pair: Pair

    @property
    def names(self) -> list[Names]:
        """Canonical names of each layer in both models."""
        return list(zip(self.first.layers, self.second.layers, strict=True))

    @property
    def layers(self) -> tuple[str, ...]:
        """Prefixed names of all layers; those of a pair follow each other."""
        names: list[str] = []
        for first_name, second_name in self.names:
            names += [FIRST + first_name, SECOND + second_name]
        return tuple(names)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Receptive-field geometries of all layers."""
        first = _prefixed(FIRST, self.first.geometries)
        second = _prefixed(SECOND, self.second.geometries)
        return {**first, **second}

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of both probes."""
        return (
            *getattr(self.first, "notes", ()),
            *getattr(self.second, "notes", ()),
        )

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the maps of all layers, and take in the differences of each pair.

        Raises BadInput where the maps of a pair are of different shapes.
        """
        first_maps = self.first(self.pair.prepare(images, self.pair.first))
        second_maps = self.second(self.pair.prepare(images, self.pair.second))
        for first_name, second_name in self.names:
            first = first_maps[first_name].float()
            second = second_maps[second_name].float().to(first.device)
            _check_shapes(first_name, first, second_name, second)
            self.pair.differences.update((first_name, second_name), first, second)
        on_one_device = {
            name: maps.to(images.device) for name, maps in second_maps.items()
        }
        return {**_prefixed(FIRST, first_maps), **_prefixed(SECOND, on_one_device)}


def _prefixed(prefix: str, by_layer: Mapping[str, T]) -> dict[str, T]:
    return {prefix + name: value for name, value in by_layer.items()}


def _check_shapes(
    first_name: str, first: Tensor, second_name: str, second: Tensor
) -> None:
    if first.shape != second.shape:
        raise BadInput(
            f"layer {first_name!r} has maps of shape {tuple(first.shape[1:])} and {second_name!r} "
            f"of {tuple(second.shape[1:])}: they are not the same layer; "
            "name a pair of layers as FIRST=SECOND"
        )


@dataclass(frozen=True)
class Pair:
    """Two models as one Model for the engine; its layers are pairs of names."""

    first: Model
    second: Model
    feed_preprocess: Preprocess | None = (
        None  # None: both models get the feed's images as they are
    )
    differences: Differences = field(default_factory=Differences)
    backend: str = "pair"

    @property
    def identity(self) -> Identity:
        """Identity made of both models'."""
        first = self.first.identity
        second = self.second.identity
        source = f"{first.source} and {second.source}"
        fingerprint = first.fingerprint + second.fingerprint
        return Identity("pair", source, first.version, fingerprint)

    @property
    def preprocess(self) -> Preprocess:
        """Preprocessing of the second model: an origin knows more of it than its export."""
        return self.second.preprocess

    @property
    def device(self) -> torch.device:
        """Device of the first model."""
        return self.first.device

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of both models."""
        return (*self.first.notes, *self.second.notes)

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """Return the layers of the first model."""
        return self.first.layers(size)

    @contextmanager
    def probe(self, layers: Sequence[Names], size: Size) -> Iterator[PairProbe]:
        """Open a probe on pairs of layers."""
        first_names = [first_name for first_name, _ in layers]
        second_names = [second_name for _, second_name in layers]
        with ExitStack() as stack:
            first = stack.enter_context(self.first.probe(first_names, size))
            second = stack.enter_context(self.second.probe(second_names, size))
            yield PairProbe(first, second, self)

    def prepare(self, images: Tensor, model: Model) -> Tensor:
        """Return a batch of the feed on a model's device, normalised as its own metadata says."""
        if self.feed_preprocess is not None and not model.preprocess.assumed:
            images = model.preprocess.renormalised(images, self.feed_preprocess)
        return images.to(model.device)


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

    ``layers`` are pairs of names, in the first model and in the second. With ``own`` each model
    gets the images normalised as its own metadata says, where it has any, else as the feed does.

    Raises BadInput where the maps of a pair are of different shapes, and what
    `nd_plugin.engine.run.run` raises.
    """
    pair = Pair(first, second, feed.preprocess if own else None)
    dissections = run(pair, layers, feed, progress)
    pairs = zip(dissections[::2], dissections[1::2], strict=True)
    return [_compare(*dissected_pair, pair.differences) for dissected_pair in pairs]


def _compare(
    first: Dissection, second: Dissection, differences: Differences
) -> LayerParity:
    names = (first.layer.removeprefix(FIRST), second.layer.removeprefix(SECOND))
    first_detects = _is_detector(first)
    second_detects = _is_detector(second)
    label_differs = first.labels != second.labels
    return LayerParity(
        layers=names,
        units=first.units,
        difference=differences.largest_difference[names],
        largest=differences.largest_activation[names],
        threshold_difference=_largest_difference(
            first.thresholds, second.thresholds
        ),
        iou_difference=_largest_difference(first.iou, second.iou),
        labels=_indices(label_differs),
        detectors=_indices(first_detects != second_detects),
        detector_labels=_indices(label_differs & (first_detects | second_detects)),
        counts=(int(first_detects.sum()), int(second_detects.sum())),
        geometry=dict(first.provenance.geometry)
        == dict(second.provenance.geometry),
        notes=first.provenance.notes,
    )


def _is_detector(dissection: Dissection) -> npt.NDArray[np.bool_]:
    """Return which units are detectors; (unit,)."""
    return np.array([score.detector for score in dissection.unit_scores()])


def _largest_difference(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> float:
    return float(np.abs(first - second).max(initial=0))


def _indices(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())
