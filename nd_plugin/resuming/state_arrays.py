"""The state of a part of a dissection as arrays and plain values, for its file (see `checkpoint`), and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.candidates import Candidates, StoredMaps
from nd_plugin.engine.state import CountState, LayerState, State
from nd_plugin.engine.unit_statistics import TopImages, UnitStatistics
from nd_plugin.method.counting import ConceptCounts, UnitCounts
from nd_plugin.method.lower_bound import LowerBound
from nd_plugin.receptive_fields.geometry import Axis, Geometry


def pack(state: State) -> tuple[dict[str, Any], dict[str, Any]]:
    """What JSON holds of a state, and its arrays by name; the candidates are written to their files."""
    arrays: dict[str, Any] = {}
    arrays["readable"] = np.array(sorted(state.readable), np.int64)
    layers = [
        _watched_out(layer, one, f"{place}/", arrays)
        for place, (layer, one) in enumerate(state.layers.items())
    ]
    again = [
        {
            "layer": layer,
            "cells": one.cells,
            **_candidates_out(one, f"again/{place}/", arrays),
        }
        for place, (layer, one) in enumerate(state.again.items())
    ]
    counted = state.counted and _counted_out(state.counted, arrays)
    skipped = [asdict(item) for item in state.skipped]
    metadata = {
        "batches": state.batches,
        "seconds": state.seconds,
        "skipped": skipped,
        "layers": layers,
        "again": again,
        "batches_again": state.batches_again,
        "counted": counted,
    }
    return metadata, arrays


def unpack(
    metadata: Mapping[str, Any],
    arrays: Mapping[str, Any],
    folder: Path,
    device: torch.device,
) -> State:
    """The state again; the candidates' files lie in ``folder``, and are not open."""
    layers = {
        one["layer"]: _watched_in(one, folder / str(place), f"{place}/", arrays, device)
        for place, one in enumerate(metadata["layers"])
    }
    again = {
        one["layer"]: _candidates_in(
            one,
            tuple(one["cells"]),
            folder / str(len(layers) + place),
            f"again/{place}/",
            arrays,
        )
        for place, one in enumerate(metadata["again"])
    }
    return State(
        layers,
        set(arrays["readable"].tolist()),
        [Skipped(**item) for item in metadata["skipped"]],
        metadata["batches"],
        again,
        metadata["batches_again"],
        metadata["counted"] and _counted_in(metadata["counted"], arrays),
        metadata["seconds"],
    )


BOUNDED = ("quantile", "images", "enough", "counted", "drawn")


OBSERVED = ("highest", "lowest_peak", "varied", "nonzero")


def _watched_out(
    layer: str, watched: LayerState, at: str, arrays: dict[str, Any]
) -> dict[str, Any]:
    seen, bound = watched.observation, watched.bound
    bound.settle()
    top = seen.top.best()
    tensors = {name: getattr(seen, name) for name in OBSERVED}
    tensors |= {"top_images": top.images, "top_activations": top.activations}
    tensors |= {"level": bound.level, "floor": bound.floor, "reached": bound.reached}
    tensors |= {} if bound.largest is None else {"largest": bound.largest}
    arrays |= {at + name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    return {
        "layer": layer,
        "geometry": asdict(watched.geometry),
        "observation": {
            "cells": seen.cells,
            "images": seen.images,
            "enough": seen.enough,
            "top": top.keep,
        },
        "bound": {name: getattr(bound, name) for name in BOUNDED},
        "candidates": _candidates_out(watched.candidates, at, arrays),
    }


def _candidates_out(
    kept: Candidates, at: str, arrays: dict[str, Any]
) -> dict[str, Any]:
    kept.store()
    stored = [
        (batch, *astuple(part))
        for batch, part in kept.parts.items()
        if isinstance(part, StoredMaps)
    ]
    arrays[at + "parts"] = np.array(stored, np.int64).reshape(-1, 5)
    return {
        "dtype": str(kept.dtype).removeprefix("torch."),
        "whole": kept.whole,
        "end": kept.end,
    }


def _candidates_in(
    one: Mapping[str, Any],
    cells: tuple[int, int],
    place: Path,
    at: str,
    arrays: Mapping[str, Any],
) -> Candidates:
    parts = {
        batch: StoredMaps(*where) for batch, *where in arrays[at + "parts"].tolist()
    }
    dtype = {"float32": torch.float32, "float64": torch.float64}[one["dtype"]]
    return Candidates(cells, dtype, place, one["whole"], dict(parts), None, one["end"])


def _watched_in(
    one: Mapping[str, Any],
    place: Path,
    at: str,
    arrays: Mapping[str, Any],
    device: torch.device,
) -> LayerState:
    def tensor(name: str) -> Tensor:
        return torch.from_numpy(arrays[at + name]).to(device)

    seen, bound, cells = (
        one["observation"],
        one["bound"],
        tuple(one["observation"]["cells"]),
    )
    top = TopImages(seen["top"], tensor("top_activations"), tensor("top_images"))
    largest = tensor("largest") if at + "largest" in arrays else None
    where = one["geometry"]
    return LayerState(
        UnitStatistics(
            cells,
            seen["images"],
            seen["enough"],
            tensor("highest"),
            tensor("lowest_peak"),
            tensor("varied"),
            tensor("nonzero"),
            top,
        ),
        LowerBound(
            level=tensor("level"),
            floor=tensor("floor"),
            reached=tensor("reached"),
            largest=largest,
            **bound,
        ),
        _candidates_in(one["candidates"], cells, place, at, arrays),
        Geometry(Axis(**where["rows"]), Axis(**where["columns"]), where["anchored"]),
    )


def _counted_out(counted: CountState, arrays: dict[str, Any]) -> dict[str, Any]:
    arrays |= {
        "counted/area": counted.areas.area,
        "counted/images": counted.areas.images,
    }
    for place, counts in enumerate(counted.units.values()):
        arrays[f"counted/{place}/intersection"] = counts.intersection.numpy()
        arrays[f"counted/{place}/unit_area"] = counts.unit_area.numpy()
    skipped = [asdict(item) for item in counted.skipped]
    return {
        "units": [list(key) for key in counted.units],
        "skipped": skipped,
        "batches": counted.batches,
    }


def _counted_in(one: Mapping[str, Any], arrays: Mapping[str, Any]) -> CountState:
    def tensor(place: int, name: str) -> Tensor:
        return torch.from_numpy(arrays[f"counted/{place}/{name}"])

    units = {
        (layer, quantile): UnitCounts(
            tensor(place, "intersection"), tensor(place, "unit_area")
        )
        for place, (layer, quantile) in enumerate(one["units"])
    }
    areas = ConceptCounts(arrays["counted/area"], arrays["counted/images"])
    return CountState(
        areas, units, [Skipped(**item) for item in one["skipped"]], one["batches"]
    )
