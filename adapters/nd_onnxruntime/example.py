"""Small ONNX file on which the backend itself is checked (``nd plugins --check onnxruntime``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
UNITS = 16
CLASSES = 4


def example(folder: Path) -> str:
    """Write a network of two convolutions and a linear head, and return the file's path."""
    random = np.random.default_rng(0)
    shapes = {
        "conv1.weight": (UNITS, 3, 4, 4),
        "conv2.weight": (UNITS, UNITS, 3, 3),
        "fc.weight": (CLASSES, UNITS),
        "fc.bias": (CLASSES,),
    }
    weights = []
    for name, shape in shapes.items():
        values = 0.2 * random.standard_normal(shape)
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
    nodes = [
        helper.make_node(
            "Conv", ["image", "conv1.weight"], ["conv1"], strides=[4, 4]
        ),
        helper.make_node("Relu", ["conv1"], ["relu"]),
        helper.make_node(
            "Conv", ["relu", "conv2.weight"], ["conv2"], pads=[1, 1, 1, 1]
        ),
        helper.make_node("GlobalAveragePool", ["conv2"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node(
            "Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], transB=1
        ),
    ]
    for node in nodes:
        node.name = node.output[0]
    image = helper.make_tensor_value_info(
        "image", TensorProto.FLOAT, ("N", 3, "height", "width")
    )
    logits = helper.make_tensor_value_info(
        "logits", TensorProto.FLOAT, ("N", CLASSES)
    )
    graph = helper.make_graph(nodes, "example", [image], [logits], weights)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path = folder / "example.onnx"
    onnx.save(model, path)
    return str(path)
