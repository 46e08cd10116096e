"""Values of types that NumPy has no number for, as bfloat16: only shape and type are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnxruntime as ort
import torch

from nd_onnxruntime.recorded_values import Array

NUMPY_TYPES = frozenset(
    """
    tensor(bool) tensor(complex128) tensor(complex64) tensor(double) tensor(float)
    tensor(float16) tensor(int16) tensor(int32) tensor(int64) tensor(int8) tensor(string)
    tensor(uint16) tensor(uint32) tensor(uint64) tensor(uint8)
    """.split()
)


@dataclass(frozen=True)
class UnreadValue:
    """Tensor whose numbers were not read."""

    shape: torch.Size
    element_type: str  # as ONNX calls it: bfloat16


def is_unreadable(output: ort.NodeArg) -> bool:
    """Return whether an output is a tensor that cannot become a NumPy array."""
    return output.type.startswith("tensor(") and output.type not in NUMPY_TYPES


def read_shapes(
    session: ort.InferenceSession, inputs: Mapping[str, Array]
) -> Iterator[tuple[str, UnreadValue]]:
    """Yield the unreadable outputs of a session, by name."""
    unreadable = [
        output for output in session.get_outputs() if is_unreadable(output)
    ]
    if not unreadable:
        return
    feeds = {
        name: ort.OrtValue.ortvalue_from_numpy(array)
        for name, array in inputs.items()
    }
    names = [output.name for output in unreadable]
    values = session.run_with_ort_values(names, feeds)
    for output, value in zip(unreadable, values, strict=True):
        element_type = output.type.removeprefix("tensor(").removesuffix(")")
        yield output.name, UnreadValue(torch.Size(value.shape()), element_type)
