"""Format of ``pictures.npz``: arrays without pickles, read without trust."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.borders.archives import open_archive
from nd_plugin.borders.damage import damage_refused, refuse_newer
from nd_plugin.borders.json_values import (
    object_of,
    parse_json,
    read_list,
    read_record,
    read_value,
)
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.results.checks.picture_sizes import check_sizes
from nd_plugin.results.top_maps import UNKNOWN, TopMaps
from nd_plugin.results.top_pictures import TopPictures

FORMAT = 1
# name -> kinds of numbers, axes: picture, unit, rank, cell, byte
ARRAYS: dict[str, tuple[tuple[str, ...], str]] = {
    "images": (("int64",), "p"),
    "mask_sizes": (("int64",), "p2"),
    "top_images": (("int64",), "ur"),
    "encoded_ends": (("int64",), "p"),
    "label_ends": (("int64",), "p"),
    "counts": (("int32",), "ur"),
    "positions": (("uint8", "int16", "int32"), "c"),
    "values": (("float32", "float64"), "c"),
    "encoded": (("uint8",), "b"),
    "labels": (("uint8",), "b"),
}
REMEDY = "dissect the layer again, or remove the file to do without pictures"
COMPRESSED = ("encoded", "labels")  # already: not worth the time to deflate again


def pack(pictures: TopPictures) -> bytes:
    """Return the bytes of an npz file; equal ones for equal pictures."""
    maps = pictures.maps
    metadata = {
        "format": FORMAT,
        "geometry": asdict(maps.geometry),
        "image_size": maps.image_size,
        "cells": maps.cells,
    }
    encoded, encoded_ends = _join(pictures.encoded)
    labels, label_ends = _join(pictures.packed_labels)
    text = json.dumps(metadata, allow_nan=False)
    arrays: dict[str, npt.NDArray[Any]] = {
        "metadata": np.frombuffer(text.encode(), np.uint8),
        "images": pictures.images,
        "mask_sizes": pictures.mask_sizes,
        "top_images": pictures.top_images,
        "encoded_ends": encoded_ends,
        "label_ends": label_ends,
        "counts": maps.counts,
        "positions": maps.positions,
        "values": maps.values,
        "encoded": encoded,
        "labels": labels,
    }
    return _zip(arrays)


def _join(
    pieces: Sequence[bytes],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Join pieces; return the bytes, and the index behind the last byte of each."""
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    return np.frombuffer(b"".join(pieces), np.uint8), lengths.cumsum()


def _split(joined: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> Any:
    starts = [0, *ends.tolist()]
    pieces = zip(starts, ends.tolist(), strict=False)
    return tuple(joined[start:end].tobytes() for start, end in pieces)


def _zip(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            npy = io.BytesIO()
            np.lib.format.write_array(npy, np.asarray(array), allow_pickle=False)
            compression = (
                zipfile.ZIP_STORED if name in COMPRESSED else zipfile.ZIP_DEFLATED
            )
            # of a fixed date, so that equal content gives equal files
            member = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(member, npy.getvalue(), compress_type=compression)
    return content.getvalue()


def load(path: Path) -> TopPictures:
    """Read what `pack` has packed, everything checked. Raises RunInvalid, naming the file."""
    with damage_refused(path, REMEDY):
        with path.open("rb") as file, open_archive(file, path) as stored:
            metadata = object_of(
                parse_json(stored["metadata"].tobytes()), "metadata"
            )
            version = read_value(int, metadata["format"], "format")
            refuse_newer(path, version, FORMAT)
            arrays = {name: stored[name] for name in ARRAYS}
        _check(arrays)
        pictures = _unpack(metadata, arrays, path)
        _check_cells(pictures.maps)
        check_sizes(pictures)
    return pictures


def _unpack(
    metadata: Mapping[str, Any], arrays: Mapping[str, Any], path: Path
) -> TopPictures:
    image_rows, image_columns = read_list(int, metadata["image_size"], "image_size")
    rows, columns = read_list(int, metadata["cells"], "cells")
    maps = TopMaps(
        geometry=read_record(Geometry, metadata["geometry"], "geometry"),
        image_size=(image_rows, image_columns),
        cells=(rows, columns),
        counts=arrays["counts"],
        positions=arrays["positions"],
        values=arrays["values"],
    )
    return TopPictures(
        images=arrays["images"],
        encoded=_split(arrays["encoded"], arrays["encoded_ends"]),
        packed_labels=_split(arrays["labels"], arrays["label_ends"]),
        mask_sizes=arrays["mask_sizes"],
        top_images=arrays["top_images"],
        maps=maps,
        path=path,
    )


def _check(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Check kinds and shapes; axes of one letter have one length. Raises ValueError."""
    units, ranks = arrays["top_images"].shape
    lengths = {
        "p": len(arrays["images"]),
        "2": 2,
        "u": units,
        "r": ranks,
        "c": len(arrays["values"]),
    }
    for name, (kinds, axes) in ARRAYS.items():
        array = arrays[name]
        shape = tuple(lengths.get(axis, array.size) for axis in axes)
        if array.dtype.name not in kinds or array.shape != shape:
            raise ValueError(
                f"{name} is {array.dtype}{array.shape}, where {kinds[0]}{shape} belongs"
            )
    _check_ascending("images", arrays["images"], strictly=True)
    for ends, pieces in (("encoded_ends", "encoded"), ("label_ends", "labels")):
        _check_ascending(ends, arrays[ends], strictly=False)
        if arrays[ends][-1:].sum() != arrays[pieces].size:
            raise ValueError(f"{pieces} do not end where {ends} says")
    if arrays["mask_sizes"].min(initial=1) < 1:
        raise ValueError("mask_sizes has a size below 1")


def _check_ascending(
    name: str, numbers: npt.NDArray[np.int64], *, strictly: bool
) -> None:
    least = 1 if strictly else 0
    if np.diff(numbers).min(initial=1) < least or numbers[:1].min(initial=0) < 0:
        raise ValueError(f"{name} does not ascend")


def _check_cells(maps: TopMaps) -> None:
    """Check that cells lie inside their maps. Raises ValueError."""
    rows, columns = maps.cells
    stored = np.maximum(maps.counts, 0).sum(dtype=np.int64)
    if maps.counts.min(initial=0) < UNKNOWN or stored != len(maps.values):
        raise ValueError("counts do not add up to the number of values")
    outside = maps.positions.max(initial=0) >= rows * columns
    if rows < 1 or columns < 1 or outside or maps.positions.min(initial=0) < 0:
        raise ValueError("a cell lies outside its map")
