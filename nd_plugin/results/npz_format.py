"""Format of ``dissection.npz``: arrays and JSON metadata, without pickles, read without trust."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nd_plugin.borders.archives import open_archive
from nd_plugin.borders.damage import damage_refused, refuse_newer
from nd_plugin.borders.json_values import parse_json, read_record
from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.contracts.provenance import Provenance, Settings, Skipped
from nd_plugin.errors import RunInvalid
from nd_plugin.results.activation_histograms import ActivationHistograms
from nd_plugin.results.checks.layer_counts import check_counts, check_significance
from nd_plugin.results.checks.open_entries import check_open_entries
from nd_plugin.significance import stored_arrays
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.fold_counts import FoldCounts

FORMAT = 2
# name -> dtype, axes: unit, concept, category k, top image
ARRAYS: dict[str, tuple[str, str]] = {
    "thresholds": ("float64", "u"),
    "intersection": ("int64", "uc"),
    "unit_area": ("int64", "uk"),
    "concept_area": ("int64", "c"),
    "category_images": ("int64", "k"),
    "dead": ("bool", "u"),
    "sparse": ("bool", "u"),
    "top_images": ("int64", "ut"),
    "top_activations": ("float64", "ut"),
}
# of `ActivationHistograms`, which earlier versions have not written; b: bin
HISTOGRAM_ARRAYS: dict[str, tuple[str, str]] = {
    "histogram_counts": ("int64", "ub"),
    "histogram_ranges": ("float64", "u2"),
}
# which earlier versions have not written
OPTIONAL_ARRAYS: dict[str, tuple[str, str]] = {"category_pixels": ("int64", "k")}


def pack(
    metadata: Mapping[str, Any],
    arrays: Mapping[str, Any],
    histograms: ActivationHistograms | None = None,
    folds: FoldCounts | None = None,
    chance: ChanceCounts | None = None,
    optional: Mapping[str, Any] = MappingProxyType({}),
) -> bytes:
    """Return the bytes of an npz file; of ``optional`` arrays those that are not None."""
    arrays = {**arrays, **stored_arrays.pack(folds, chance)}
    for name, array in optional.items():
        if array is not None:
            arrays[name] = array
    if histograms is not None:
        arrays["histogram_counts"] = histograms.counts
        arrays["histogram_ranges"] = histograms.ranges
    text = json.dumps({"format": FORMAT, **metadata}, allow_nan=False)
    encoded = np.frombuffer(text.encode(), dtype=np.uint8)
    content = io.BytesIO()
    np.savez_compressed(content, metadata=encoded, **arrays)
    return content.getvalue()


def unpack(path: Path) -> dict[str, Any]:
    """Read the fields of a Dissection, everything checked. Raises RunInvalid."""
    if not path.is_file():
        raise RunInvalid(
            f"{path.parent} holds no dissection: {path.name} is missing"
        )
    with damage_refused(path, "dissect the layer again"):
        with path.open("rb") as file, open_archive(file, path) as stored:
            metadata = parse_json(stored["metadata"].tobytes())
            _check_format(metadata, path)
            arrays = _read_arrays(stored)
            significance = stored_arrays.read(stored)
        fields = _fields(metadata)
        _check_arrays(arrays, fields)
        check_open_entries(fields["provenance"])
        check_counts(fields, arrays)
        folds, chance = _unpack_significance(significance, arrays)
        check_significance(fields, folds, chance)
    counts = arrays.pop("histogram_counts", None)
    ranges = arrays.pop("histogram_ranges", None)
    if counts is not None and ranges is not None:
        arrays["histograms"] = ActivationHistograms(counts, ranges)
    return {**fields, **arrays, "folds": folds, "chance": chance}


def _read_arrays(stored: Mapping[str, Any]) -> dict[str, Any]:
    arrays = {name: stored[name] for name in ARRAYS}
    for name in (*HISTOGRAM_ARRAYS, *OPTIONAL_ARRAYS):
        if name in stored:
            arrays[name] = stored[name]
    return arrays


def _unpack_significance(
    significance: Mapping[str, Any], arrays: Mapping[str, Any]
) -> tuple[FoldCounts | None, ChanceCounts | None]:
    """Unpack the optional counts by fold and by permutation, checked. Raises ValueError."""
    names = ("intersection", "unit_area", "concept_area", "category_images")
    counts = stored_arrays.LayerCounts(**{name: arrays[name] for name in names})
    try:
        return stored_arrays.unpack(significance, counts)
    except RunInvalid as error:
        raise ValueError(str(error)) from error


def _check_format(metadata: Any, path: Path) -> None:
    version = metadata.get("format") if isinstance(metadata, dict) else None
    if not isinstance(version, int):
        raise RunInvalid(
            f"{path} states no format: it was not written by nd_plugin"
        )
    refuse_newer(path, version, FORMAT)
    if version < FORMAT:
        raise RunInvalid(
            f"{path} is of format {version}, of an early nd_plugin: dissect the layer again"
        )


@dataclass(frozen=True)
class _Metadata:
    """Fields of a Dissection that are no arrays."""

    layer: str
    categories: tuple[str, ...]
    locations: int
    image_names: tuple[str, ...]
    concepts: tuple[Concept, ...]
    skipped: tuple[Skipped, ...]
    settings: Settings
    provenance: Provenance


def _fields(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a Dissection that are no arrays. Raises ValueError."""
    entries = {name: entry for name, entry in metadata.items() if name != "format"}
    return dict(vars(read_record(_Metadata, entries, "metadata")))


def _check_arrays(arrays: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Check kinds and shapes: axes of one letter have one length. Raises ValueError."""
    top_images = arrays["top_images"]
    bins = arrays.get("histogram_counts", top_images)
    lengths = {
        "u": arrays["thresholds"].size,
        "c": len(fields["concepts"]),
        "k": len(fields["categories"]),
        "t": top_images.shape[-1] if top_images.ndim else 0,
        "b": bins.shape[-1] if bins.ndim else 0,
        "2": 2,
    }
    kinds = ARRAYS | HISTOGRAM_ARRAYS | OPTIONAL_ARRAYS
    for name, array in arrays.items():
        dtype, axes = kinds[name]
        shape = tuple(lengths[axis] for axis in axes)
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(
                f"{name} is {array.dtype}{array.shape}, where {dtype}{shape} belongs"
            )
