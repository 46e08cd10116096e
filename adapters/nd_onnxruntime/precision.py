"""Precision of an ONNX model: the number types of its weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from onnx import TensorProto

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
