"""The format of ``dissection.npz``: arrays and metadata without pickles, read without trust."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.contracts.provenance import Identity, Provenance, Settings, Skipped
from nd_plugin.errors import RunInvalid

FORMAT = 2


ARRAYS: dict[str, tuple[str, str]] = {  # name -> dtype, axes
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


def pack(metadata: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    """The bytes of an npz file."""
    content = io.BytesIO()
    text = json.dumps({"format": FORMAT, **metadata}, allow_nan=False)
    np.savez_compressed(
        content, metadata=np.frombuffer(text.encode(), dtype=np.uint8), **dict(arrays)
    )
    return content.getvalue()


def unpack(path: Path) -> dict[str, Any]:
    """The fields of a dissection from such a file, everything checked. Raises RunInvalid."""
    if not path.is_file():
        raise RunInvalid(f"{path.parent} holds no dissection: {path.name} is missing")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            metadata = json.loads(stored["metadata"].tobytes().decode())
            _check_format(metadata, path)
            arrays = {name: stored[name] for name in ARRAYS}
        fields = _fields(metadata)
    except RunInvalid:
        raise
    except Exception as error:  # zip, zlib, npy and JSON errors have no common root
        raise RunInvalid(
            f"{path} is damaged: {type(error).__name__}: {error}; dissect the layer again"
        ) from error
    _check_arrays(arrays, fields, path)
    return {**fields, **arrays}


def _check_format(metadata: Any, path: Path) -> None:
    written = metadata.get("format") if isinstance(metadata, dict) else None
    if not isinstance(written, int):
        raise RunInvalid(f"{path} states no format: it is no dissection of nd_plugin's")
    if written > FORMAT:
        raise RunInvalid(
            f"{path} is of format {written}, and this nd_plugin reads up to {FORMAT}: upgrade nd_plugin"
        )
    if written < FORMAT:
        raise RunInvalid(
            f"{path} is of format {written}, of an early nd_plugin: dissect the layer again"
        )


def _fields(metadata: dict[str, Any]) -> dict[str, Any]:
    made = dict(metadata["provenance"])
    made["model"], made["concept_set"] = Identity(**made["model"]), Identity(**made["concept_set"])
    made["notes"] = tuple(made["notes"])
    return {
        "layer": str(metadata["layer"]),
        "categories": tuple(metadata["categories"]),
        "locations": int(metadata["locations"]),
        "image_names": tuple(metadata["image_names"]),
        "concepts": tuple(
            Concept(c["name"], c["category"], tuple(c["synonyms"])) for c in metadata["concepts"]
        ),
        "skipped": tuple(Skipped(**skipped) for skipped in metadata["skipped"]),
        "settings": Settings(**metadata["settings"]),
        "provenance": Provenance(**made),
    }


def _check_arrays(arrays: Mapping[str, Any], fields: Mapping[str, Any], path: Path) -> None:
    axes = {
        "u": arrays["thresholds"].size,
        "c": len(fields["concepts"]),
        "k": len(fields["categories"]),
        "t": arrays["top_images"].shape[-1] if arrays["top_images"].ndim else 0,
    }
    for name, (dtype, letters) in ARRAYS.items():
        array = arrays[name]
        expected = tuple(axes[letter] for letter in letters)
        if array.dtype != dtype or array.shape != expected:
            raise RunInvalid(
                f"{path} is damaged: {name} is {array.dtype}{array.shape}, where {dtype}{expected} belongs"
            )
    strange = {concept.category for concept in fields["concepts"]}.difference(fields["categories"])
    if strange:
        raise RunInvalid(f"{path} is damaged: concepts of unknown categories {sorted(strange)}")
