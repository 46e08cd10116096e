"""Weights of a model: their fingerprint and number types, and files of others for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization
from jax import numpy as jnp
from safetensors import SafetensorError
from safetensors.flax import load_file

from nd_flax.programs import Arrays, Network
from nd_plugin import BadInput, ModelNotFound, describe_error, fingerprint, nearest

PARAMETERS = "params."  # Linen's collection of weights, which files may leave out
NAMES_SHOWN = 3


def weights_fingerprint(arrays: Arrays) -> str:
    """Return the fingerprint of weights and statistics: their names, types, shapes and values."""

    def chunks() -> Iterator[bytes]:
        for name in sorted(arrays):
            values = np.asarray(arrays[name])
            yield f"{name} {values.dtype} {values.shape}".encode()
            yield values.tobytes()

    return fingerprint(chunks())


def precision_of(arrays: Arrays) -> str:
    """Return the floating-point types of weights, the most frequent first; "" for none."""
    counts = Counter[str]()
    for array in arrays.values():
        if jnp.issubdtype(array.dtype, jnp.floating):
            counts[str(array.dtype)] += array.size
    return " and ".join(name for name, _ in counts.most_common())


def load_weights(network: Network, file: str) -> Network:
    """Return a model with the weights of a file.

    Raises ModelNotFound for a file that does not exist, is damaged or does not fit, and BadInput
    for one of another format.
    """
    path = Path(file)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise BadInput(
            f"the weights file {file!r} is none of {', '.join(READERS)}; pickles are not loaded, "
            "since they run code, and Orbax folders are not read"
        )
    if not path.is_file():
        raise ModelNotFound(f"no weights file {file!r}")
    expected = network.arrays()
    stored = _with_collection(reader(path), expected)
    _check_names(expected, stored, file)
    loaded: dict[str, jax.Array] = {}
    for name, array in expected.items():
        values = stored[name]
        if values.shape != array.shape:
            raise ModelNotFound(
                f"the weights file {file!r} does not fit: {name} has the shape {values.shape}, "
                f"and the model's is {array.shape}"
            )
        loaded[name] = jnp.asarray(values, array.dtype)
    return network.with_arrays(loaded)


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        arrays: Mapping[str, Any] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    return arrays


def _read_msgpack(path: Path) -> Mapping[str, Any]:
    """Read nested arrays, as ``flax.serialization.to_bytes`` writes them; it runs no code."""
    try:
        nested = serialization.msgpack_restore(path.read_bytes())
        leaves, _ = jax.tree_util.tree_flatten_with_path(nested)
        return {
            jax.tree_util.keystr(key, simple=True, separator="."): np.asarray(value)
            for key, value in leaves
        }
    except Exception as error:  # any, by the bytes of the file
        raise _damaged(path, error) from error


READERS: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {
    ".safetensors": _read_safetensors,
    ".msgpack": _read_msgpack,
}


def _damaged(path: Path, error: Exception) -> ModelNotFound:
    return ModelNotFound(
        f"the weights file {str(path)!r} cannot be read: {describe_error(error)}"
    )


def _with_collection(
    stored: Mapping[str, Any], expected: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return arrays under the names of the model: files may leave out Linen's collection."""
    is_linen = any(name.startswith(PARAMETERS) for name in expected)
    if not is_linen or any(name.startswith(PARAMETERS) for name in stored):
        return stored
    return {f"{PARAMETERS}{name}": values for name, values in stored.items()}


def _check_names(
    expected: Mapping[str, Any], stored: Mapping[str, Any], file: str
) -> None:
    missing = [name for name in expected if name not in stored]
    unknown = [name for name in stored if name not in expected]
    if not missing and not unknown:
        return
    problems: list[str] = []
    if missing:
        problems.append(f"it lacks {_listed(missing)}")
    if unknown:
        similar = nearest(unknown[0], expected)
        hint = f" (the model has {', '.join(similar[:1])})" if similar else ""
        problems.append(f"the model has no {_listed(unknown)}{hint}")
    raise ModelNotFound(
        f"the weights file {file!r} does not fit: {'; '.join(problems)}"
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
