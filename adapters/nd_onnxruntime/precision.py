"""Precision of an ONNX model: the number types of its weights, and what it computes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

import torch
from onnx import TensorProto

from nd_onnxruntime.sessions import CUDA, SessionDevice
from nd_plugin import BadInput, Unavailable

NAMES = {
    "float": "float32",
    "double": "float64",
}  # others are named as in the format


def precision_of(tensors: Iterable[TensorProto]) -> str:
    """Return the number types of the weights, that of most numbers first; "" for none.

    Weights are the tensors of two axes or more; shapes, scales and biases have one or none.
    """
    counts = Counter[str]()
    for tensor in tensors:
        if len(tensor.dims) > 1:
            name = TensorProto.DataType.Name(tensor.data_type).lower()
            counts[NAMES.get(name, name)] += prod(tensor.dims)
    return " and ".join(name for name, _ in counts.most_common())


FLOAT32 = "float32"
TF32 = "tf32"
TF32_CAPABILITY = (8, 0)  # of the first GPUs that have TF32
SEPARATOR = " and "
# weights of these are not computed with
INDICES = ("int32", "int64", "bool", "string")


def deciding_types(weights: str) -> str:
    """Return the number types of weights that decide the precision; "" for plain float32."""
    types = [name for name in weights.split(SEPARATOR) if name not in INDICES]
    return "" if types in ([FLOAT32], [""], []) else SEPARATOR.join(types)


def compute_precision(weights: str, device: SessionDevice) -> str:
    """Return the precision that a file computes in, given the number types of its weights."""
    return deciding_types(weights) or (TF32 if device.use_tf32 else FLOAT32)


def check_choice(
    precision: str | None, weights: str, device: SessionDevice
) -> None:
    """Check that a file can be run in a precision. Raises BadInput, Unavailable."""
    if precision == TF32:
        _check_tf32(device)
    if precision in (None, FLOAT32, TF32) or precision in weights.split(SEPARATOR):
        return
    raise BadInput(
        f"an ONNX file has its precision in itself ({weights or FLOAT32}): to run it in "
        f"{precision}, export the model so (model.half() before torch.onnx.export, or "
        "onnxruntime.transformers.float16), and leave out the choice of precision"
    )


def _check_tf32(device: SessionDevice) -> None:
    if device.provider != CUDA:
        raise Unavailable(
            "precision 'tf32' is of NVIDIA GPUs, and ONNX Runtime uses the CPU: choose float32"
        )
    if device.tensors.type != "cuda":  # torch has no CUDA to ask
        return
    capability = torch.cuda.get_device_capability(device.tensors)
    if capability < TF32_CAPABILITY:
        version = ".".join(map(str, capability))
        raise Unavailable(
            f"{torch.cuda.get_device_name(device.tensors)} has no TF32 (compute capability "
            f"{version}, needed is 8.0): choose float32"
        )


def precision_notes(precision: str | None, weights: str) -> tuple[str, ...]:
    """Return notes on weights that decide the precision, and on a choice without effect."""
    types = deciding_types(weights)
    if types in ("", "float64"):
        return ()
    notes = [f"the weights are {types}, which decides the precision"]
    if precision is not None and precision not in types.split(SEPARATOR):
        notes.append(f"precision {precision} has no effect on weights of {types}")
    return tuple(notes)
