"""Archives of runs and checkpoints with one part of their content replaced, whole in all else."""

from __future__ import annotations

import copy
import json
import math
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

Keys = tuple[str | int, ...]
# for any place of a JSON document
WRONG_VALUES: tuple[Any, ...] = (
    None, True, -1, 2**70, 0.5, -1e300, "x", "", "\ud800\x1b[2J", [], {}, [None], {"x": None},
)  # fmt: skip


def members_of(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an archive by name."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def write_members(
    path: Path, members: dict[str, np.ndarray], **changes: Any
) -> None:
    """Write an archive, with some arrays replaced; None leaves one out."""
    merged = {**members, **changes}
    content = BytesIO()
    np.savez(content, **{k: v for k, v in merged.items() if v is not None})
    path.write_bytes(content.getvalue())


def json_of(members: dict[str, np.ndarray]) -> Any:
    """Return the metadata of an archive."""
    return json.loads(members["metadata"].tobytes())


def json_array(value: Any) -> np.ndarray:
    """Return metadata as the array of an archive."""
    return text_array(json.dumps(value))


def text_array(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def places_of(value: Any, place: Keys = ()) -> Iterator[Keys]:
    """Yield the place of each value of a document; of long lists the first two items."""
    yield place
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    if isinstance(value, list):
        items = list(enumerate(value))[:2]
    for key, item in items:
        yield from places_of(item, (*place, key))


def with_value(document: Any, place: Keys, value: Any) -> Any:
    """Return a copy of a document with the value at a place replaced."""
    if not place:
        return value
    changed = copy.deepcopy(document)
    target = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return changed


def without(document: Any, place: Keys) -> Any:
    """Return a copy of a document without the value at a place."""
    changed = copy.deepcopy(document)
    target = changed
    for key in place[:-1]:
        target = target[key]
    del target[place[-1]]
    return changed


def wrong_arrays(array: np.ndarray) -> list[np.ndarray]:
    """Return arrays of other types, shapes and numbers than one that is right."""
    with np.errstate(all="ignore"):
        return [
            *_of_other_types(array),
            *_of_other_shapes(array),
            *_of_numbers(array),
        ]


def _of_other_types(array: np.ndarray) -> list[np.ndarray]:
    return [array.astype(kind) for kind in ("f4", "i1", "U8", "c16")]


def _of_other_shapes(array: np.ndarray) -> list[np.ndarray]:
    shapes = [array[None], array.ravel()[:0]]
    if array.ndim:
        shapes += [np.concatenate([array, array]), array[:0]]
    return shapes


def _of_numbers(array: np.ndarray) -> list[np.ndarray]:
    """Return the array with a number replaced that is none, or out of most ranges."""
    numbers: list[float] = [-1, 2**62, 7]
    if array.dtype.kind == "f":
        numbers += [math.nan, math.inf, -math.inf]
    changed = []
    for number in numbers:
        for index in {0, array.size // 2} if array.size else ():
            other = array.copy()
            other.flat[index] = np.array(number).astype(array.dtype)
            changed.append(other)
    return changed


def duplicated(path: Path, name: str) -> None:
    """Add a second member of a name to an archive."""
    with zipfile.ZipFile(path, "a") as archive:
        content = archive.read(f"{name}.npy")
        archive.writestr(f"{name}.npy", content)


def header_only(shape: tuple[int, ...], dtype: str = "<i8") -> bytes:
    """Return the npy header of an array whose numbers are missing."""
    content = BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"shape": shape, "fortran_order": False, "descr": dtype}
    )
    return content.getvalue()
