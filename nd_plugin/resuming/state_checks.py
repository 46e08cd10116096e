"""Plausibility of a saved state: one that some part of the described run has.

A checkpoint whose archive is whole may hold numbers that no run gives: it would be continued to a
wrong result, or fail somewhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nd_plugin.borders.json_values import (
    object_of,
    read_list,
    read_record,
    read_value,
)
from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.candidates.map_file import StoredMaps
from nd_plugin.candidates.sparse_maps import SparseMaps, bytes_of
from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.engine.state import CountState, LayerState, State
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.method.lower_bound import LowerBound
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.parts import parse_part
from nd_plugin.resuming.count_checks import check_counted

MOST_CELLS = 2**28  # of a map


class DescribedPart(NamedTuple):
    """What a description says of the size of a part."""

    layers: tuple[str, ...]
    images: int  # of the whole probe data set
    batches: range  # numbers of the part's
    quantiles: tuple[float, ...]


def read_description(described: Any, provenance: Any) -> DescribedPart:
    """Read what the state is compared with, and check all that is used of a description.

    Raises ValueError, BadInput.
    """
    description = object_of(described, "described")
    read_record(Provenance, provenance, "made")
    for name in ("model", "concept set"):
        object_of(description[name], name)
    read_value(str, description["contents"], "contents")
    _read_noise(object_of(description["noise"], "noise"))
    read_value(str, description["precision"], "precision")
    settings = object_of(description["settings"], "settings")
    read_record(Settings, settings, "settings")
    Preprocess(**object_of(description["preprocessing"], "preprocessing"))
    images = read_value(int, description["images"], "images")
    batch_size = read_value(int, description["batch size"], "batch size")
    if images < 1 or batch_size < 1:
        raise ValueError(f"it is of {images} images in batches of {batch_size}")
    part = parse_part(read_value(str, description["shard"], "shard"))
    layers = read_list(str, description["layers"], "layers")
    quantiles = read_list(float, settings["quantiles"], "quantiles")
    batches = part.batch_numbers(-(-images // batch_size))
    return DescribedPart(tuple(layers), images, batches, tuple(quantiles))


def _read_noise(noise: Mapping[str, Any]) -> None:
    """Check what is recorded of images of noise. Raises ValueError."""
    read_value(str, noise["images"], "noise.images")
    sums = object_of(noise["sums"], "noise.sums")
    for layer, layer_sums in sums.items():
        read_list(float, layer_sums, f"noise.sums.{layer}")


def check_state(state: State, part: DescribedPart) -> None:
    """Check a state whose files are not opened yet. Raises ValueError."""
    _check_progress(state, part)
    for layer, layer_state in state.layers.items():
        if layer not in part.layers:
            raise ValueError(f"it has layer {layer!r}, which the run has not")
        with _layer_named(layer):
            _check_layer(layer_state, part)
    for layer, candidates in state.second_pass.items():
        if layer not in state.layers:
            raise ValueError(f"it has a second pass of layer {layer!r} alone")
        with _layer_named(layer):
            _check_records(candidates, part)
    if state.counted is not None:
        units = {name: len(item.bound.level) for name, item in state.layers.items()}
        check_counted(state.counted, units, part.images)
        _check_keys(state.counted, part)


@contextmanager
def _layer_named(layer: str) -> Iterator[None]:
    """Name the layer in the error of a check."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"layer {layer!r}: {error}") from error


def _check_progress(state: State, part: DescribedPart) -> None:
    counted = 0 if state.counted is None else state.counted.batches
    for name, done in (
        ("batches", state.batches),
        ("batches_again", state.second_pass_batches),
        ("batches of the counts", counted),
    ):
        if not 0 <= done <= len(part.batches):
            raise ValueError(f"{name} is {done} of {len(part.batches)}")
    if (
        state.readable
        and not 0 <= min(state.readable) <= max(state.readable) < part.images
    ):
        raise ValueError(f"readable has an image beyond the {part.images}")
    if state.seconds < 0:
        raise ValueError(f"seconds is {state.seconds}")
    if state.batches and not state.layers and state.readable:
        raise ValueError("it has images, and no layer")


def _check_layer(layer: LayerState, part: DescribedPart) -> None:
    statistics = layer.statistics
    rows, columns = statistics.cells
    if rows < 1 or columns < 1 or rows * columns > MOST_CELLS:
        raise ValueError(f"cells are {rows}x{columns}")
    units = len(layer.bound.level)
    _check_statistics(statistics, units, part)
    _check_bound(layer.bound, units, part)
    dtype = layer.bound.level.dtype
    floats = (layer.bound.floor, statistics.highest, statistics.lowest_peak)
    dtypes = {layer.candidates.dtype, *(tensor.dtype for tensor in floats)}
    if dtypes != {dtype}:
        raise ValueError(
            f"its maps are of several types: {sorted(map(str, dtypes))}"
        )
    _check_sample(layer, units, part)
    _check_records(layer.candidates, part)


def _check_statistics(
    statistics: UnitStatistics, units: int, part: DescribedPart
) -> None:
    for name, kind in (
        ("highest", None),
        ("lowest_peak", None),
        ("varied", torch.bool),
        ("nonzero", torch.int64),
    ):
        _check_tensor(name, getattr(statistics, name), (units,), kind)
    if not 0 <= statistics.images <= part.images:
        raise ValueError(f"it has {statistics.images} of {part.images} images")
    nonzero = statistics.nonzero
    if bool(((nonzero < 0) | (nonzero > statistics.locations)).any()):
        raise ValueError("nonzero has a number out of range")
    top = statistics.top
    count = top.images.shape[1] if top.images.ndim == 2 else 0
    _check_tensor("top_images", top.images, (units, count), torch.int64)
    _check_tensor("top_activations", top.activations, (units, count), None)
    if not count <= top.count or statistics.enough < 1:
        raise ValueError(f"it has {count} top images of {top.count}")
    if bool(((top.images < 0) | (top.images >= part.images)).any()):
        raise ValueError("top_images has an image out of range")
    # plus infinity has stopped the run that would have seen it
    is_highest = top.activations <= statistics.highest[:, None]
    if bool(statistics.highest.isposinf().any()) or not bool(is_highest.all()):
        raise ValueError("highest or top_activations has a number out of range")


def _check_bound(bound: LowerBound, units: int, part: DescribedPart) -> None:
    _check_tensor("level", bound.level, (units,), None)
    _check_tensor("floor", bound.floor, (units,), None)
    _check_tensor("reached", bound.reached, (units,), torch.int64)
    if bound.largest is not None:
        count = bound.largest.shape[1] if bound.largest.ndim == 2 else 0
        _check_tensor("largest", bound.largest, (units, count), None)
    if bool((bound.reached < 0).any()) or bool(bound.level.isposinf().any()):
        raise ValueError("reached or level has a number out of range")
    images = (bound.counted, bound.drawn)
    if not 0 <= min(images) <= max(images) <= part.images:
        raise ValueError(f"its bounds are of {images} of {part.images} images")
    if bound.images < 1 or bound.enough < 1 or bound.quantile not in part.quantiles:
        raise ValueError("its bounds are of another number of images, or quantile")


def _check_sample(layer: LayerState, units: int, part: DescribedPart) -> None:
    sampled = layer.sample.sampled
    _check_tensor("sampled", sampled, (sampled.numel(),), torch.int64)
    if bool(((sampled < 0) | (sampled >= part.images)).any()):
        raise ValueError("sampled has an image out of range")
    for values in layer.sample.values:
        _check_tensor("sample_values", values, (len(values), units), None)
    if layer.sample.cells_per_image < 0:
        raise ValueError("sampled_cells is negative")


def _check_tensor(
    name: str,
    tensor: Tensor,
    shape: tuple[int, ...],
    kind: torch.dtype | None,
) -> None:
    """Check shape and type of a tensor; None: real numbers, none of them NaN."""
    is_kind = tensor.is_floating_point() if kind is None else tensor.dtype == kind
    if tuple(tensor.shape) != shape or not is_kind:
        expected = "real numbers" if kind is None else str(kind)
        raise ValueError(
            f"{name} is {tensor.dtype}{tuple(tensor.shape)}, where {expected} {shape} belong"
        )
    if kind is None and bool(tensor.isnan().any()):
        raise ValueError(f"{name} has NaN")


def _check_records(candidates: Candidates, part: DescribedPart) -> None:
    """Check that the records of a file lie in it, one for each batch of the part."""
    length = candidates.file_length
    if length < 0:
        raise ValueError(f"its file has {length} bytes")
    for batch, stored in candidates.by_batch.items():
        assert isinstance(stored, StoredMaps)
        if batch not in part.batches:
            raise ValueError(
                f"it has maps of batch {batch}, which is not of the part"
            )
        sizes = (stored.offset, stored.maps, stored.count)
        if min(sizes) < 0 or max(sizes) > length:
            raise ValueError(f"a record of batch {batch} has the sizes {sizes}")
        size = bytes_of(
            candidates.cells, candidates.dtype, stored.maps, stored.count
        )
        if stored.offset + size > length:
            raise ValueError(
                f"the record of batch {batch} does not lie in its file"
            )


def _check_keys(counted: CountState, part: DescribedPart) -> None:
    for layer, quantile in (*counted.units, *counted.folds):
        if layer not in part.layers or quantile not in part.quantiles:
            raise ValueError(f"it has counts of {layer!r} at {quantile}")


def map_check(
    state: State, part: DescribedPart
) -> Mapping[Candidates, Callable[[SparseMaps], None]]:
    """Return, by file, a check of the maps in it, which raises ValueError."""
    checks: dict[Candidates, Callable[[SparseMaps], None]] = {}
    for layer, layer_state in state.layers.items():
        units = len(layer_state.bound.level)
        check = _MapCheck(units, part.images)
        checks[layer_state.candidates] = check
        if layer in state.second_pass:
            checks[state.second_pass[layer]] = check
    return checks


@dataclass(frozen=True)
class _MapCheck:
    """Check that the maps of a record are of units and images that there are."""

    units: int
    images: int

    def __call__(self, maps: SparseMaps) -> None:
        """Raise ValueError for maps that are not."""
        cell_count = maps.cells[0] * maps.cells[1]
        numbers = (
            ("units", maps.units.numpy(), self.units),
            ("images", maps.images.numpy(), self.images),
            ("counts", maps.counts.numpy(), cell_count + 1),
            ("positions", maps.positions.numpy(), cell_count),
        )
        for name, values, end in numbers:
            if values.min(initial=0) < 0 or values.max(initial=0) >= end:
                raise ValueError(f"a record has {name} out of range")
        if int(maps.counts.numpy().sum(dtype=np.int64)) != len(maps.values):
            raise ValueError("a record has other cells than its counts say")
