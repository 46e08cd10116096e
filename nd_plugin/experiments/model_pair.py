"""Pair of models as one Model for the engine, so that one pass over the images feeds both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from nd_plugin.contracts.models import LayerDescription, Model, Probe
from nd_plugin.contracts.noise_run import NoiseRun
from nd_plugin.contracts.precision import computed_precision
from nd_plugin.contracts.provenance import Identity
from nd_plugin.errors import BadInput
from nd_plugin.experiments.pair_preprocess import MODEL, ORIGIN, PairPreprocess
from nd_plugin.preprocess import Preprocess
from nd_plugin.receptive_fields.geometry import Geometry, Size

FIRST = "first:"  # prefix of the first model's layers
SECOND = "second:"
MODEL_NOTE = f"{MODEL}: "  # prefix of a note that is of the first model alone
ORIGIN_NOTE = f"{ORIGIN}: "

T = TypeVar("T")

Names = tuple[str, str]  # of one layer, in the first model and in the second


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
        """Notes of both probes, each with its model."""
        first_notes = getattr(self.first, "notes", ())
        second_notes = getattr(self.second, "notes", ())
        return notes_of_both(first_notes, second_notes)

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Reasons why the same image may give other maps, each with its model."""
        first_reasons = getattr(self.first, "unreliable", ())
        second_reasons = getattr(self.second, "unreliable", ())
        return notes_of_both(first_reasons, second_reasons)

    @property
    def noise_run(self) -> NoiseRun:
        """No noise: the differences of its maps would count, and no pair is resumed."""
        return NoiseRun.none()

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the maps of all layers, and take in the differences of each pair.

        Raises BadInput where the maps of a pair are of different shapes.
        """
        first_images, second_images = self.pair.split(images)
        first_maps = self.first(first_images)
        second_maps = self.second(second_images)
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


def notes_of_both(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """Join the notes of two models; a note that is not of both begins with its model."""
    both = [note for note in dict.fromkeys(first) if note in second]
    first_only = [MODEL_NOTE + note for note in first if note not in both]
    second_only = [ORIGIN_NOTE + note for note in second if note not in both]
    return tuple(dict.fromkeys([*both, *first_only, *second_only]))


def notes_of_one(notes: Sequence[str], own: str, other: str) -> tuple[str, ...]:
    """Return the notes of one model, of those that `notes_of_both` joined, and of both."""
    own_notes = [
        note.removeprefix(own) for note in notes if not note.startswith(other)
    ]
    return tuple(dict.fromkeys(own_notes))


@dataclass(frozen=True)
class Pair:
    """Two models as one Model for the engine; its layers are pairs of names.

    Both get the images as they come, unless these are of a `PairPreprocess`.
    """

    first: Model
    second: Model
    preprocess: Preprocess
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
    def device(self) -> torch.device:
        """Device of the first model."""
        return self.first.device

    @property
    def compute_precision(self) -> str:
        """Precision that the models compute in, of both where they differ."""
        precisions = (
            computed_precision(self.first),
            computed_precision(self.second),
        )
        return " and ".join(dict.fromkeys(precisions))

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the images of both models, then those of the models."""
        on_images = getattr(self.preprocess, "notes", ())
        return (*on_images, *notes_of_both(self.first.notes, self.second.notes))

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

    def split(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images of each model, on its device."""
        first_images = second_images = images
        if isinstance(self.preprocess, PairPreprocess):
            first_images, second_images = self.preprocess.split(images)
        return first_images.to(self.first.device), second_images.to(
            self.second.device
        )
