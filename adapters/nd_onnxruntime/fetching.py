"""Fetching of all outputs of a session, in groups that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import onnxruntime as ort

from nd_onnxruntime.recorded_values import MAX_VALUE_ELEMENTS, Array
from nd_onnxruntime.runtime_errors import one_line
from nd_onnxruntime.time_limit import run_within_limit
from nd_onnxruntime.unread_values import is_unreadable, read_shapes
from nd_plugin import ModelFailed, NDError

GROUP_BYTES = 2**28  # of values fetched from ONNX Runtime in one run
ASSUMED_BYTES = 2**24  # of a value whose shape is not declared
FLOAT_BYTES = 4
INTEGER_BYTES = 8
INTEGER = "tensor(int64)"  # in ONNX Runtime's words


def fetch_outputs(
    session: ort.InferenceSession, inputs: Mapping[str, Array], batch_size: int
) -> Iterator[tuple[str, Any]]:
    """Yield a session's outputs by name: arrays, sequences, maps, or an `UnreadValue`.

    Raises ModelFailed.
    """
    for names in filter(None, _groups(session)):
        yield from zip(names, _run(session, names, inputs, batch_size), strict=True)
    yield from read_shapes(session, inputs)


def _run(
    session: ort.InferenceSession,
    names: Sequence[str],
    inputs: Mapping[str, Array],
    batch_size: int,
) -> Sequence[Any]:
    """Compute the outputs called ``names``. Raises ModelFailed."""
    images = "one image" if batch_size == 1 else f"{batch_size} images"
    try:
        outputs: Sequence[Any] = run_within_limit(
            lambda options: session.run(names, inputs, options),
            f"the model's run on {images} of noise",
        )
    except NDError:
        raise
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise ModelFailed(
            f"the model failed on {images}: {one_line(error)}"
        ) from error
    return outputs


def _groups(session: ort.InferenceSession) -> list[list[str]]:
    """Divide a session's outputs into groups of at most ``GROUP_BYTES``, as far as is known."""
    groups: list[list[str]] = [[]]
    group_bytes = 0
    for output in session.get_outputs():
        if is_unreadable(output):
            continue
        output_bytes = _expected_bytes(output.type, output.shape)
        if groups[-1] and group_bytes + output_bytes > GROUP_BYTES:
            groups.append([])
            group_bytes = 0
        groups[-1].append(output.name)
        group_bytes += output_bytes
    return groups


def _expected_bytes(kind: str, shape: Sequence[Any] | None) -> int:
    """Estimate the size of an output from its declared type and shape.

    ONNX Runtime gives the shape ``[]`` to scalars and to tensors of unknown rank alike. Integers
    of that shape are shapes and indices, of which models with dynamic axes compute hundreds.
    """
    if not shape and kind == INTEGER:
        return INTEGER_BYTES * MAX_VALUE_ELEMENTS
    if not shape or not all(isinstance(side, int) for side in shape):
        return ASSUMED_BYTES
    return FLOAT_BYTES * int(prod(shape))
