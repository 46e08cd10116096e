"""Layers of two models that are the same layer: by name, else by order, shape and values.

Exporters name values in their own ways, fold a BatchNorm into a convolution or spell it out. The
layers of both are therefore aligned in the order in which they run. Only layers whose maps have one
shape are paired; among these a common name counts, and how far their values on an image agree.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from nd_plugin.contracts.models import LayerDescription, Model
from nd_plugin.errors import BadInput
from nd_plugin.experiments.alignment import Booleans, Floats, best_pairs
from nd_plugin.machine.size_groups import groups_by_size
from nd_plugin.receptive_fields.geometry import Size

BY_NAME = "name"
BY_ORDER = "order and shape"
BY_REQUEST = "request"

SAMPLES = 4096  # values of a layer's maps that are compared
GROUP_BYTES = 2**29  # activation maps held at once
BYTES_PER_VALUE = 4
# In units of agreement, which is 1 for equal maps and near 0.3 for unrelated ones. A common name
# gives way to a layer of another name whose values are nearly equal, if its own are not.
NAME_BONUS = 0.4
CLOSE_BONUS = 0.7  # of equal values; of those that differ by ``CLOSE``, none
CLOSE = 0.1
KIND_BONUS = 0.05  # chooses among layers of nearly the same values
LEAST_AGREEMENT = 0.5  # of two layers that have neither name nor kind in common
UNLIKE_SHAPES = -1.0  # agreement of layers whose maps have different shapes
# One operation in the words of torch and of ONNX.
SYNONYMS = {
    "batchnormalization": "batchnorm",
    "gemm": "linear",
    "matmul": "linear",
    "averagepool": "avgpool",
    "globalaveragepool": "adaptiveavgpool",
    "globalmaxpool": "adaptivemaxpool",
    "reducemean": "adaptiveavgpool",
    "relu6": "clip",
    "layernormalization": "layernorm",
}


@dataclass(frozen=True)
class LayerMatch:
    """Layer by its names in the first model and in the second, and what they were matched by."""

    first: str
    second: str
    by: str  # "name" | "order and shape" | "request"

    @property
    def names(self) -> tuple[str, str]:
        """Names in the first model and in the second."""
        return self.first, self.second


@dataclass(frozen=True)
class Matching:
    """Layers that two models have in common, in order, and those that only one has."""

    matches: tuple[LayerMatch, ...]
    first_only: tuple[str, ...]
    second_only: tuple[str, ...]
    # names that stand for the value of another layer in one of the models
    stand_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerSample:
    """Layer of one model with the shape of its maps and some of their values."""

    name: str
    kind: str
    shape: tuple[int, ...]  # unit, row, column
    values: Floats  # (sample,), at the same places for each layer of this shape

    @classmethod
    def of(cls, layer: LayerDescription, maps: Tensor) -> LayerSample:
        """Take the sample from the maps of one image, (1, unit, row, column)."""
        flat = maps.flatten()
        count = min(SAMPLES, len(flat))
        places = torch.linspace(0, len(flat) - 1, count, dtype=torch.float64)
        values = flat.cpu()[places.round().long()].double().numpy()
        kind = re.sub(r"[123]d$", "", layer.kind.lower())
        shape = tuple(maps.shape[1:])
        return cls(layer.name, SYNONYMS.get(kind, kind), shape, values)


ModelLayers = tuple[Model, Sequence[LayerDescription], Tensor]


def match_layers(first: ModelLayers, second: ModelLayers, size: Size) -> Matching:
    """Match layers of two models: each a model, its layers in order, and an image for it.

    The images are (1, channel, row, column), preprocessed as each model asks for. A layer on which
    no probe can be opened is matched with none.
    """
    first_samples = list(_samples(*first, size))
    second_samples = list(_samples(*second, size))
    names_equal = _equal_names(first_samples, second_samples)
    agreements = _agreements_of_all(first_samples, second_samples)
    scores = _scores(first_samples, second_samples, agreements)
    matches = []
    stand_ins = []
    for row, column in best_pairs(scores, names_equal):
        match = _match(first_samples[row], second_samples[column])
        if match.by == BY_NAME and _is_stand_in(agreements, row, column):
            stand_ins.append(match.first)
        else:
            matches.append(match)
    first_names = {match.first for match in matches}
    second_names = {match.second for match in matches}
    return Matching(
        tuple(matches),
        _names_without(first[1], first_names.union(stand_ins)),
        _names_without(second[1], second_names.union(stand_ins)),
        tuple(stand_ins),
    )


def _is_stand_in(agreements: Floats, row: int, column: int) -> bool:
    """Return whether a pair's values differ, and one of them is that of another layer.

    An exporter that folds a BatchNorm, or a quantiser that folds a ReLU, may leave both names on
    the one value that remains.
    """
    close = agreements > 1 - CLOSE
    has_close_values = bool(close[row].any() or close[:, column].any())
    return has_close_values and not close[row, column]


def _match(first: LayerSample, second: LayerSample) -> LayerMatch:
    by = BY_NAME if first.name == second.name else BY_ORDER
    return LayerMatch(first.name, second.name, by)


def _names_without(
    layers: Sequence[LayerDescription], matched: set[str]
) -> tuple[str, ...]:
    return tuple(layer.name for layer in layers if layer.name not in matched)


def layers_with_units(model: Model, size: Size) -> list[LayerDescription]:
    """Return the layers in which units are found, in the order in which they run."""
    return [
        layer
        for layer in model.layers(size)
        if layer.shape is not None and not getattr(layer, "reason", "")
    ]


def _samples(
    model: Model, layers: Sequence[LayerDescription], image: Tensor, size: Size
) -> Iterator[LayerSample]:
    """Yield samples of layers, in their order, without those on which no probe can be opened."""
    with torch.no_grad():
        for group in groups_by_size(layers, map_bytes, GROUP_BYTES):
            yield from _probed_samples(model, group, image, size)


def map_bytes(layer: LayerDescription) -> int:
    """Return the size of a layer's maps of one image."""
    return prod(layer.shape or ()) * BYTES_PER_VALUE


def _probed_samples(
    model: Model, layers: Sequence[LayerDescription], image: Tensor, size: Size
) -> Iterator[LayerSample]:
    """Yield samples of layers; a group with a layer that is refused is halved until it is alone."""
    names = [layer.name for layer in layers]
    try:
        with model.probe(names, size) as probe:
            maps = list(probe(image.to(model.device)).values())
    except BadInput:
        if len(layers) > 1:
            middle = len(layers) // 2
            yield from _probed_samples(model, layers[:middle], image, size)
            yield from _probed_samples(model, layers[middle:], image, size)
        return
    for layer, layer_maps in zip(layers, maps, strict=True):
        yield LayerSample.of(layer, layer_maps)


def _agreements_of_all(
    first: Sequence[LayerSample], second: Sequence[LayerSample]
) -> Floats:
    """Return how far the values of each layer of the first agree with each of the second."""
    table = np.full((len(first), len(second)), UNLIKE_SHAPES)
    rows_of = _by_shape(first)
    columns_of = _by_shape(second)
    for shape in rows_of.keys() & columns_of.keys():
        rows = rows_of[shape]
        columns = columns_of[shape]
        table[np.ix_(rows, columns)] = _agreements(
            np.stack([first[row].values for row in rows]),
            np.stack([second[column].values for column in columns]),
        )
    return table


def _scores(
    first: Sequence[LayerSample], second: Sequence[LayerSample], agreements: Floats
) -> Floats:
    """Return how well each layer of the first fits each of the second; 0 for no pair."""
    scores = np.zeros(agreements.shape)
    for row, column in np.argwhere(agreements != UNLIKE_SHAPES):
        agreement = agreements[row, column]
        scores[row, column] = _score(first[row], second[column], agreement)
    return scores


def _equal_names(
    first: Sequence[LayerSample], second: Sequence[LayerSample]
) -> Booleans:
    first_names = np.array([sample.name for sample in first], dtype=object)
    second_names = np.array([sample.name for sample in second], dtype=object)
    equal: Booleans = np.equal.outer(first_names, second_names).astype(np.bool_)
    return equal


def _by_shape(
    samples: Sequence[LayerSample],
) -> Mapping[tuple[int, ...], list[int]]:
    indices = defaultdict[tuple[int, ...], list[int]](list)
    for index, sample in enumerate(samples):
        indices[sample.shape].append(index)
    return indices


def _agreements(first: Floats, second: Floats) -> Floats:
    """Return 1 - |a - b| / (|a| + |b|) of all rows a and b, in the Euclidean norm.

    1 for equal rows, 0 for opposite ones and for those with a value that is not finite.
    """
    agreements = np.zeros((len(first), len(second)))
    with np.errstate(invalid="ignore"):
        for index, row in enumerate(first):
            differences = np.linalg.norm(second - row, axis=1)
            lengths = np.linalg.norm(second, axis=1) + np.linalg.norm(row)
            shares = differences / np.where(lengths > 0, lengths, 1)
            agreements[index] = np.where(np.isfinite(shares), 1 - shares, 0)
    return agreements


def _score(first: LayerSample, second: LayerSample, agreement: float) -> float:
    is_same_name = first.name == second.name
    is_same_kind = first.kind == second.kind
    if not (is_same_name or is_same_kind) and agreement < LEAST_AGREEMENT:
        return 0.0
    closeness = max(0.0, 1 - (1 - agreement) / CLOSE)
    bonus = NAME_BONUS * is_same_name + KIND_BONUS * is_same_kind
    return agreement + bonus + CLOSE_BONUS * closeness
