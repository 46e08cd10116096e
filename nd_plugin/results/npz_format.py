"""Format of ``dissection.npz``: arrays and JSON metadata, without pickles, read without trust."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.contracts.provenance import Provenance, Settings, Skipped
from nd_plugin.errors import RunInvalid
from nd_plugin.results.activation_histograms import ActivationHistograms
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
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            metadata = json.loads(stored["metadata"].tobytes().decode())
            _check_format(metadata, path)
            arrays = {name: stored[name] for name in ARRAYS}
            for name in (*HISTOGRAM_ARRAYS, *OPTIONAL_ARRAYS):
                if name in stored:
                    arrays[name] = stored[name]
            significance = stored_arrays.read(stored)
        fields = _fields(metadata)
    except RunInvalid:
        raise
    except Exception as error:  # zip, zlib, npy and JSON errors have no common root
        raise RunInvalid(
            f"{path} is damaged: {type(error).__name__}: {error}; dissect the layer again"
        ) from error
    _check_arrays(arrays, fields, path)
    _check_categories(fields, path)
    counts = arrays.pop("histogram_counts", None)
    ranges = arrays.pop("histogram_ranges", None)
    if counts is not None and ranges is not None:
        arrays["histograms"] = ActivationHistograms(counts, ranges)
    folds, chance = _unpack_significance(significance, arrays, path)
    return {**fields, **arrays, "folds": folds, "chance": chance}


def _unpack_significance(
    significance: Mapping[str, Any], arrays: Mapping[str, Any], path: Path
) -> tuple[FoldCounts | None, ChanceCounts | None]:
    """Unpack the optional counts by fold and by permutation, checked. Raises RunInvalid."""
    names = ("intersection", "unit_area", "concept_area", "category_images")
    counts = stored_arrays.LayerCounts(**{name: arrays[name] for name in names})
    try:
        return stored_arrays.unpack(significance, counts)
    except RunInvalid as error:
        raise RunInvalid(
            f"{path} is damaged: {error}; dissect the layer again"
        ) from error


def _check_format(metadata: Any, path: Path) -> None:
    version = metadata.get("format") if isinstance(metadata, dict) else None
    if not isinstance(version, int):
        raise RunInvalid(
            f"{path} states no format: it was not written by nd_plugin"
        )
    if version > FORMAT:
        raise RunInvalid(
            f"{path} is of format {version}, and this nd_plugin reads up to {FORMAT}: "
            "upgrade nd_plugin"
        )
    if version < FORMAT:
        raise RunInvalid(
            f"{path} is of format {version}, of an early nd_plugin: dissect the layer again"
        )


def _fields(metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "layer": str(metadata["layer"]),
        "categories": tuple(metadata["categories"]),
        "locations": int(metadata["locations"]),
        "image_names": tuple(metadata["image_names"]),
        "concepts": tuple(_concept(fields) for fields in metadata["concepts"]),
        "skipped": tuple(Skipped(**fields) for fields in metadata["skipped"]),
        "settings": Settings(**metadata["settings"]),
        "provenance": Provenance.parse(metadata["provenance"]),
    }


def _concept(fields: dict[str, Any]) -> Concept:
    return Concept(fields["name"], fields["category"], tuple(fields["synonyms"]))


def _check_arrays(
    arrays: Mapping[str, Any], fields: Mapping[str, Any], path: Path
) -> None:
    """Check kinds and shapes: axes of one letter have one length."""
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
            raise RunInvalid(
                f"{path} is damaged: {name} is {array.dtype}{array.shape}, "
                f"where {dtype}{shape} belongs"
            )


def _check_categories(fields: Mapping[str, Any], path: Path) -> None:
    used = {concept.category for concept in fields["concepts"]}
    unknown = used.difference(fields["categories"])
    if unknown:
        raise RunInvalid(
            f"{path} is damaged: concepts of unknown categories {sorted(unknown)}"
        )
