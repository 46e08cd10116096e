"""Small ONNX models of a few nodes, for tests of single operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSETS = (
    ("", 21),
    ("com.microsoft", 1),
    ("com.microsoft.nchwc", 1),
    ("com.ms.internal.nhwc", 21),
    ("mine", 1),
)
Side = int | str


def model_of(
    nodes: Sequence[NodeProto],
    weights: Mapping[str, Any] | None = None,
    image: Sequence[Side] = ("N", 3, 32, 32),
    tensors: Sequence[TensorProto] = (),
) -> ModelProto:
    """Build a model of nodes on ``image``; its output is that of the last node."""
    stored = [
        numpy_helper.from_array(np.asarray(array), name)
        for name, array in (weights or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [onnx.ValueInfoProto(name=nodes[-1].output[0])],
        [*stored, *tensors],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def random_weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Return reproducible float32 weights, smaller where a unit sums over more of them."""
    generator = np.random.default_rng(seed)
    scale = np.sqrt(np.prod(shape[1:]))
    weights: np.ndarray = generator.standard_normal(shape) / scale
    return weights.astype(np.float32)
