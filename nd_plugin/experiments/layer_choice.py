"""Choice of the layers that are compared: all that two models have in common, or some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nd_plugin.contracts.models import LayerDescription, Model
from nd_plugin.errors import BadInput, LayerNotFound, RunFailed, nearest
from nd_plugin.experiments.layer_matching import (
    BY_NAME,
    BY_ORDER,
    BY_REQUEST,
    LayerMatch,
    Matching,
    layers_with_units,
    map_bytes,
    match_layers,
)
from nd_plugin.experiments.model_pair import Names
from nd_plugin.experiments.pair_preprocess import MODEL, ORIGIN, PairPreprocess
from nd_plugin.plugins.layer_patterns import LayerNames, is_pattern
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.loading import default_batch_size

ALL = "all"
NAMES_LISTED = 3  # in one note
FEW_LAYERS = 8  # whose maps are not measured before the run
BATCH_BYTES = 2**30  # activation maps of both models' layers for one batch


@dataclass(frozen=True)
class LayerChoice:
    """Layers to compare, what was matched how, and what only one model has."""

    matches: tuple[LayerMatch, ...]
    # known where all layers are compared
    first_only: tuple[str, ...] = ()
    second_only: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on layers of two names, and on those that are not compared."""
        return (
            *_renamed_note(self.matches),
            *_unmatched_note(MODEL, ORIGIN, self.first_only),
            *_unmatched_note(ORIGIN, MODEL, self.second_only),
            *_stand_in_note(self.stand_ins),
        )


@dataclass(frozen=True)
class LayerChooser:
    """Layers of two models that are fed from one feed, whose preprocessing is the pair's."""

    first: Model
    second: Model
    feed: Feed

    def choose(self, texts: Sequence[str]) -> LayerChoice:
        """Return the layers that ``texts`` name; all common layers for none, and for ``all``.

        A text is NAME, NAME=NAME_IN_ORIGIN, a pattern with * or ?, or several of these with commas
        between. A NAME that only the first model has is matched by order and shape. Raises
        BadInput, LayerNotFound.
        """
        if not texts or tuple(texts) == (ALL,):
            matching = self._matching
            if not matching.matches:
                raise BadInput(
                    f"{MODEL} and {ORIGIN} have no layer in common, neither by name nor by order "
                    "and shape; name pairs of layers with -l NAME=NAME_IN_ORIGIN"
                )
            return LayerChoice(
                matching.matches,
                matching.first_only,
                matching.second_only,
                matching.stand_ins,
            )
        matches: dict[Names, LayerMatch] = {}
        for text in texts:
            for match in self._matches_of(text):
                matches.setdefault(match.names, match)
        return LayerChoice(tuple(matches.values()))

    def batch_size(self, choice: LayerChoice) -> int:
        """Return the default batch size, smaller where the maps of a batch would be large."""
        if len(choice.matches) <= FEW_LAYERS:
            return default_batch_size(self.first.device)
        layer_bytes = {layer.name: map_bytes(layer) for layer in self._first_layers}
        image_bytes = 2 * sum(
            layer_bytes.get(match.first, 0) for match in choice.matches
        )
        most = default_batch_size(self.first.device)
        return max(1, min(most, BATCH_BYTES // max(image_bytes, 1)))

    @cached_property
    def _first_layers(self) -> list[LayerDescription]:
        return layers_with_units(self.first, self.feed.preprocess.size)

    @cached_property
    def _second_layers(self) -> list[LayerDescription]:
        return layers_with_units(self.second, self.feed.preprocess.size)

    @cached_property
    def _matching(self) -> Matching:
        first_image, second_image = self._image()
        size = self.feed.preprocess.size
        return match_layers(
            (self.first, self._first_layers, first_image),
            (self.second, self._second_layers, second_image),
            size,
        )

    def _image(self) -> tuple[Tensor, Tensor]:
        """Return the first readable image as both models get it; (1, channel, row, column)."""
        preprocess = self.feed.preprocess
        assert isinstance(preprocess, PairPreprocess)
        for index in range(self.feed.images):
            try:
                pixels = preprocess.resize(self.feed.concepts.image(index))
            except Exception:  # a concept set may raise anything; the run says so
                continue
            images: Tensor = preprocess.normalise(pixels[None].to(torch.uint8))
            return preprocess.split(images)
        raise RunFailed(
            f"none of the {self.feed.images} images of {self.feed.concepts.identity.source} "
            "can be read"
        )

    def _matches_of(self, text: str) -> Iterator[LayerMatch]:
        """Yield the layers that one text names."""
        if "=" in text and text not in self._first_names:
            for part in text.split(","):
                if "=" in part:
                    yield LayerMatch(*parse_layer_pair(part), BY_REQUEST)
                else:
                    yield from self._matches_of(part)
        elif is_pattern(text):
            common = LayerNames(
                tuple(match.first for match in self._matching.matches),
                layers=tuple(self._first_layers),
            )
            for name in common.expand(text):
                yield self._match_of_name(name)
        else:
            yield self._match_of_name(text)

    def _match_of_name(self, name: str) -> LayerMatch:
        """Return the layer of a name, which is matched by order and shape where one model lacks it.

        A name that neither model lists is left to them: they may know it, or name the nearest.
        """
        first_name, second_name = parse_layer_pair(name)
        in_first = name in self._first_names
        in_second = name in self._second_names
        if in_first == in_second:
            return LayerMatch(first_name, second_name, BY_NAME)
        for match in self._matching.matches:
            if name == (match.first if in_first else match.second):
                return match
        role, other_role = (MODEL, ORIGIN) if in_first else (ORIGIN, MODEL)
        other_names = self._second_names if in_first else self._first_names
        names = nearest(name, other_names) or other_names
        raise LayerNotFound(
            f"layer {name!r} of {role} has no counterpart in {other_role}, neither by name nor by "
            f"order and shape; name one with -l NAME=NAME_IN_ORIGIN; {other_role} has "
            f"{_listing(names)}"
        )

    @property
    def _first_names(self) -> list[str]:
        return [layer.name for layer in self._first_layers]

    @property
    def _second_names(self) -> list[str]:
        return [layer.name for layer in self._second_layers]


def parse_layer_pair(text: str) -> Names:
    """Return the two names in ``NAME`` or ``NAME=NAME_IN_ORIGIN``."""
    first_name, sign, second_name = text.partition("=")
    if not first_name or (sign and not second_name):
        raise BadInput(f"layer {text!r} is neither NAME nor NAME=NAME_IN_ORIGIN")
    return first_name, second_name if sign else first_name


def _renamed_note(matches: Sequence[LayerMatch]) -> list[str]:
    """Return the note on layers that have another name in the second model."""
    pairs = [
        f"{match.first}={match.second}" for match in matches if match.by == BY_ORDER
    ]
    if not pairs:
        return []
    layers = "layer is" if len(pairs) == 1 else "layers are"
    return [
        f"{len(pairs)} {layers} compared under two names, matched by order and shape, and by "
        f"values where several fit: {_listing(pairs)}; -l NAME=NAME_IN_ORIGIN chooses another pair"
    ]


def _unmatched_note(role: str, other_role: str, names: Sequence[str]) -> list[str]:
    """Return the note on layers of one model that the other lacks."""
    if not names:
        return []
    layers = "layer" if len(names) == 1 else "layers"
    return [
        f"{len(names)} {layers} of {role} without a counterpart in {other_role}, not compared: "
        f"{_listing(names)}"
    ]


def _stand_in_note(names: Sequence[str]) -> list[str]:
    """Return the note on names that have values of different layers in the two models."""
    if not names:
        return []
    layers = "layer is" if len(names) == 1 else "layers are"
    return [
        f"{len(names)} {layers} not compared: in one model the name stands for the value of "
        f"another layer that is compared, as where a BatchNorm or ReLU is folded into a "
        f"convolution: {_listing(names)}; -l NAME compares it nevertheless"
    ]


def _listing(names: Sequence[str]) -> str:
    text = ", ".join(names[:NAMES_LISTED])
    beyond = len(names) - NAMES_LISTED
    return f"{text} and {beyond} more" if beyond > 0 else text
