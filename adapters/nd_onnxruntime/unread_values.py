"""Values of types that NumPy lacks, as bfloat16: a survey reads only their shapes and types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnxruntime as ort
import torch
from onnx import TensorProto, helper

from nd_onnxruntime.exposed_value import ExposedValue
from nd_onnxruntime.recorded_values import Array
from nd_onnxruntime.time_limit import run_within_limit

NUMPY_TYPES = frozenset(
    """
    tensor(bool) tensor(complex128) tensor(complex64) tensor(double) tensor(float)
    tensor(float16) tensor(int16) tensor(int32) tensor(int64) tensor(int8) tensor(string)
    tensor(uint16) tensor(uint32) tensor(uint64) tensor(uint8)
    """.split()
)

READ_AS_FLOAT = "{} numbers, read as float32 by an appended Cast"


@dataclass(frozen=True)
class UnreadValue:
    """Tensor whose numbers were not read."""

    shape: torch.Size
    element_type: str  # as ONNX calls it: bfloat16


def expose_as_float(value: str, element_type: str) -> ExposedValue | None:
    """Expose a value of floats that NumPy lacks as float32; None for a value of integers."""
    if "float" not in element_type:
        return None
    name = f"{value}_as_float"
    element_code = TensorProto.DataType.Value(element_type.upper())
    to_float = helper.make_node(
        "Cast", [value], [name], name=name, to=TensorProto.FLOAT
    )
    back = helper.make_node(
        "Cast", [name], [value], name=f"{name}_back", to=element_code
    )
    note = READ_AS_FLOAT.format(element_type)
    return ExposedValue(name, (to_float,), note, (back,))


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
    values = run_within_limit(
        lambda options: session.run_with_ort_values(names, feeds, options),
        "the model's run on noise",
    )
    for output, value in zip(unreadable, values, strict=True):
        element_type = output.type.removeprefix("tensor(").removesuffix(")")
        yield output.name, UnreadValue(torch.Size(value.shape()), element_type)
