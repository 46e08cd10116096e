"""State of a part of a dissection as plain values and arrays, for its file (see `checkpoint`).

Arrays have names such as ``0/level`` (layer number 0), ``again/0/parts`` (its second forward pass)
and ``counted/0/unit_area`` (counts number 0: a layer at a quantile). Candidates are in files of
their own; here are the positions of each batch's maps in these files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

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
from nd_plugin.candidates.sparse_maps import SparseMaps
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.report_data.activation_sample import ActivationSample
from nd_plugin.engine.state import CountState, LayerState, State
from nd_plugin.engine.unit_statistics import TopImages, UnitStatistics
from nd_plugin.method.counting import ConceptCounts, UnitCounts
from nd_plugin.method.lower_bound import LowerBound
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.resuming import significance_arrays
from nd_plugin.resuming.significance_arrays import unpack_key

STATISTICS_TENSORS = ("highest", "lowest_peak", "varied", "nonzero")
BOUND_TENSORS = ("level", "floor", "reached")
BOUND_NUMBERS = ("quantile", "images", "enough", "counted", "drawn")
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def pack(state: State) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pack a state into plain values for JSON, and arrays by name.

    Candidates have to be in their files (`Candidates.write_all`): their places there are packed.
    """
    arrays: dict[str, Any] = {
        "readable": np.array(sorted(state.readable), np.int64)
    }
    layers = []
    for number, (layer, layer_state) in enumerate(state.layers.items()):
        layers.append(_pack_layer(layer, layer_state, f"{number}/", arrays))
    second_passes = []
    for number, (layer, candidates) in enumerate(state.second_pass.items()):
        packed = _pack_candidates(candidates, f"again/{number}/", arrays)
        second_passes.append({"layer": layer, "cells": candidates.cells, **packed})
    counted = None if state.counted is None else _pack_counts(state.counted, arrays)
    metadata = {
        "batches": state.batches,
        "seconds": state.seconds,
        "skipped": [asdict(item) for item in state.skipped],
        "remarks": asdict(state.remarks),
        "layers": layers,
        "again": second_passes,
        "batches_again": state.second_pass_batches,
        "counted": counted,
    }
    return metadata, arrays


def unpack(
    metadata: Mapping[str, Any],
    arrays: Mapping[str, Any],
    folder: Path,
    device: torch.device,
) -> State:
    """Unpack what `pack` returned; the files of candidates are in ``folder``, not opened yet."""
    state = State(
        readable=set(arrays["readable"].tolist()),
        skipped=read_list(Skipped, metadata["skipped"], "skipped"),
        remarks=_unpack_remarks(metadata),
        batches=read_value(int, metadata["batches"], "batches"),
        second_pass_batches=read_value(
            int, metadata["batches_again"], "batches_again"
        ),
        seconds=read_value(float, metadata["seconds"], "seconds"),
    )
    layers = read_list(dict[str, Any], metadata["layers"], "layers")
    for number, packed in enumerate(layers):
        path = folder / str(number)
        state.layers[packed["layer"]] = _unpack_layer(
            packed, path, f"{number}/", arrays, device
        )
    second_passes = read_list(dict[str, Any], metadata["again"], "again")
    for number, packed in enumerate(second_passes):
        path = folder / str(len(state.layers) + number)
        cells = _unpack_cells(packed["cells"])
        candidates = _unpack_candidates(
            packed, cells, path, f"again/{number}/", arrays
        )
        state.second_pass[packed["layer"]] = candidates
    if metadata["counted"] is not None:
        state.counted = _unpack_counts(metadata["counted"], arrays)
    return state


def _pack_layer(
    layer: str, layer_state: LayerState, prefix: str, arrays: dict[str, Any]
) -> dict[str, Any]:
    bound = layer_state.bound
    bound.update_level()  # its waiting values are not stored
    statistics = layer_state.statistics
    top = statistics.top.best()
    tensors = {name: getattr(statistics, name) for name in STATISTICS_TENSORS}
    tensors["top_images"] = top.images
    tensors["top_activations"] = top.activations
    tensors |= {name: getattr(bound, name) for name in BOUND_TENSORS}
    sample = layer_state.sample
    tensors["sampled"] = sample.sampled
    if sample.values:
        tensors["sample_values"] = torch.cat(sample.on_cpu().values)
    if bound.largest is not None:
        tensors["largest"] = bound.largest
    for name, tensor in tensors.items():
        arrays[prefix + name] = tensor.cpu().numpy()
    return {
        "layer": layer,
        "geometry": asdict(layer_state.geometry),
        "observation": {
            "cells": statistics.cells,
            "images": statistics.images,
            "enough": statistics.enough,
            "top": top.count,
        },
        "sampled_cells": layer_state.sample.cells_per_image,
        "bound": {name: getattr(bound, name) for name in BOUND_NUMBERS},
        "candidates": _pack_candidates(layer_state.candidates, prefix, arrays),
    }


def _unpack_layer(
    packed: Mapping[str, Any],
    path: Path,
    prefix: str,
    arrays: Mapping[str, Any],
    device: torch.device,
) -> LayerState:
    def tensor(name: str) -> Tensor:
        return torch.from_numpy(arrays[prefix + name]).to(device)

    statistics_tensors: dict[str, Any] = {
        name: tensor(name) for name in STATISTICS_TENSORS
    }
    bound_tensors: dict[str, Any] = {name: tensor(name) for name in BOUND_TENSORS}
    numbers = object_of(packed["observation"], "observation")
    cells = _unpack_cells(numbers["cells"])
    images, enough, top_count = (
        read_value(int, numbers[name], name) for name in ("images", "enough", "top")
    )
    statistics = UnitStatistics(
        cells=cells,
        images=images,
        enough=enough,
        top=TopImages(top_count, tensor("top_activations"), tensor("top_images")),
        **statistics_tensors,
    )
    bound = LowerBound(
        largest=tensor("largest") if prefix + "largest" in arrays else None,
        **bound_tensors,
        **_unpack_bound_numbers(packed["bound"]),
    )
    geometry = read_record(Geometry, packed["geometry"], "geometry")
    candidates = _unpack_candidates(
        packed["candidates"], cells, path, prefix, arrays
    )
    sample = _unpack_sample(packed, prefix, arrays)
    return LayerState(statistics, bound, candidates, geometry, sample)


def _unpack_bound_numbers(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Unpack `BOUND_NUMBERS`: a quantile, and integers."""
    return {
        name: read_value(float if name == "quantile" else int, numbers[name], name)
        for name in BOUND_NUMBERS
    }


def _unpack_sample(
    packed: Mapping[str, Any], prefix: str, arrays: Mapping[str, Any]
) -> ActivationSample:
    """Unpack the sample of activations; earlier versions have saved none, and sample no more."""
    if prefix + "sampled" not in arrays:
        return ActivationSample(torch.empty(0, dtype=torch.int64, device="cpu"), 0)
    sampled = torch.from_numpy(arrays[prefix + "sampled"])
    cells = read_value(int, packed["sampled_cells"], "sampled_cells")
    sample = ActivationSample(sampled, cells)
    if prefix + "sample_values" in arrays:
        sample.values.append(torch.from_numpy(arrays[prefix + "sample_values"]))
    return sample


def _pack_candidates(
    candidates: Candidates, prefix: str, arrays: dict[str, Any]
) -> dict[str, Any]:
    """Pack places of maps in a file; each row of the array is a batch and its StoredMaps."""
    rows = []
    for batch_number, maps in candidates.by_batch.items():
        if isinstance(maps, StoredMaps):
            rows.append((batch_number, *astuple(maps)))
    arrays[prefix + "parts"] = np.array(rows, np.int64).reshape(-1, 5)
    return {
        "dtype": str(candidates.dtype).removeprefix("torch."),
        "whole": candidates.has_maps,
        "end": candidates.file_length,
    }


def _unpack_candidates(
    packed: Mapping[str, Any],
    cells: tuple[int, int],
    path: Path,
    prefix: str,
    arrays: Mapping[str, Any],
) -> Candidates:
    stored: dict[int, SparseMaps | StoredMaps] = {}
    rows = arrays[prefix + "parts"]
    if rows.dtype != np.int64 or rows.ndim != 2 or rows.shape[1] != 5:
        raise ValueError(
            f"parts is {rows.dtype}{rows.shape}, where int64(n, 5) belongs"
        )
    if len(np.unique(rows[:, 0])) < len(rows):
        raise ValueError("parts has a batch twice")
    for batch_number, *columns in rows.tolist():
        stored[batch_number] = StoredMaps(*columns)
    return Candidates(
        cells=cells,
        dtype=DTYPES[packed["dtype"]],
        path_without_suffix=path,
        has_maps=read_value(bool, packed["whole"], "whole"),
        by_batch=stored,
        file_length=read_value(int, packed["end"], "end"),
    )


def _pack_counts(counted: CountState, arrays: dict[str, Any]) -> dict[str, Any]:
    arrays["counted/area"] = counted.areas.area
    arrays["counted/images"] = counted.areas.images
    if counted.areas.pixels is not None:
        arrays["counted/pixels"] = counted.areas.pixels
    for number, counts in enumerate(counted.units.values()):
        arrays[f"counted/{number}/intersection"] = counts.intersection.numpy()
        arrays[f"counted/{number}/unit_area"] = counts.unit_area.numpy()
    by_image = significance_arrays.pack(counted, arrays)
    return {
        **by_image,
        "units": [list(layer_and_quantile) for layer_and_quantile in counted.units],
        "skipped": [asdict(item) for item in counted.skipped],
        "remarks": asdict(counted.remarks),
        "batches": counted.batches,
    }


def _unpack_counts(
    packed: Mapping[str, Any], arrays: Mapping[str, Any]
) -> CountState:
    units = {}
    for number, key in enumerate(packed["units"]):
        layer, quantile = unpack_key(key)
        intersection = torch.from_numpy(arrays[f"counted/{number}/intersection"])
        unit_area = torch.from_numpy(arrays[f"counted/{number}/unit_area"])
        units[layer, quantile] = UnitCounts(intersection, unit_area)
    counted = CountState(
        areas=ConceptCounts(
            arrays["counted/area"],
            arrays["counted/images"],
            arrays.get("counted/pixels"),
        ),
        units=units,
        skipped=read_list(Skipped, packed["skipped"], "skipped"),
        batches=read_value(int, packed["batches"], "batches"),
        remarks=_unpack_remarks(packed),
    )
    significance_arrays.unpack(packed, arrays, counted)
    return counted


def _unpack_remarks(packed: Mapping[str, Any]) -> Remarks:
    """Unpack the remarks of a state; earlier versions have saved none."""
    remarks = read_record(Remarks, packed.get("remarks", {}), "remarks")
    if set(remarks.counts) != set(remarks.examples):
        raise ValueError("remarks have other examples than counts")
    return remarks


def _unpack_cells(cells: Any) -> tuple[int, int]:
    rows, columns = read_list(int, cells, "cells")
    return rows, columns
