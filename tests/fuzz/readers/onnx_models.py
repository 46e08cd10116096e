"""Reader of ONNX models: opened, surveyed, and dissected at one layer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from fuzz.cases import Numbers, Reader, Sample
from fuzz.mutators.messages import MESSAGES
from fuzz.readers import runs
from fuzz.readers.made import SIZE, drawn, feed_of
from onnx import TensorProto, helper
from small_models import model_of, random_weights

from nd_plugin import ModelOptions, Settings, open_model
from nd_plugin.engine.run import run
from nd_plugin.plugins.layer_patterns import has_units

IMAGE = ("N", 3, SIZE, SIZE)
SETTINGS = Settings(quantiles=(0.05,), top_images=2, limit=4)


def _convolutions() -> bytes:
    """Return two convolutions with normalisation, pooling and a classifier."""
    nodes = [
        helper.make_node(
            "Conv", ["image", "w1", "b1"], ["c1"], pads=[1] * 4, strides=[2, 2]
        ),
        helper.make_node("BatchNormalization", ["c1", "s", "o", "m", "v"], ["n1"]),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node(
            "MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], pads=[1] * 4),
        helper.make_node("GlobalAveragePool", ["c2"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3"], ["y"], transB=1),
    ]
    weights = {
        "w1": random_weights(4, 3, 3, 3),
        "b1": random_weights(4),
        "s": np.ones(4, np.float32),
        "o": np.zeros(4, np.float32),
        "m": np.zeros(4, np.float32),
        "v": np.ones(4, np.float32),
        "w2": random_weights(5, 4, 3, 3),
        "w3": random_weights(3, 5),
    }
    model = model_of(nodes, weights, IMAGE)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _tokens() -> bytes:
    """Return a patch embedding with tokens, attention and constants in nodes."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [0, 4, 16])
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["patches"], strides=[4, 4]),
        helper.make_node("Constant", [], ["sides"], value=shape),
        helper.make_node("Reshape", ["patches", "sides"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["tokens", "q"], ["queries"]),
        helper.make_node("Transpose", ["tokens"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["queries", "keys"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "tokens"], ["mixed"]),
        helper.make_node("Add", ["mixed", "tokens"], ["sum"]),
        helper.make_node("ReduceMean", ["sum", "axes"], ["y"], keepdims=0),
    ]
    weights = {
        "w": random_weights(4, 3, 4, 4),
        "q": random_weights(4, 4),
        "axes": np.array([1]),
    }
    model = model_of(nodes, weights, IMAGE)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _loop() -> bytes:
    """Return a convolution and a loop that adds to it a few times."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["before", "step"], ["after"]),
            helper.make_node("Identity", ["go"], ["go_on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], strides=[2, 2]),
        helper.make_node("Loop", ["count", "yes", "c"], ["sum"], body=body),
        helper.make_node("Resize", ["sum", "", "scales"], ["up"], mode="nearest"),
        helper.make_node("Concat", ["up", "up"], ["y"], axis=1),
    ]
    weights = {
        "w": random_weights(4, 3, 2, 2),
        "step": np.float32(0.5),
        "count": np.int64(3),
        "yes": np.array(True),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    model = model_of(nodes, weights, IMAGE)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def make_samples(folder: Path) -> Sequence[Sample]:
    """Return small models."""
    contents = {
        "convolutions": _convolutions(),
        "tokens": _tokens(),
        "loop": _loop(),
    }
    return [
        Sample(name, {"net.onnx": content}) for name, content in contents.items()
    ]


def read(folder: Path, random: Random) -> Numbers:
    """Open a model, list its layers, and dissect one of them."""
    # loops without end are ended, and by default late
    os.environ["ND_ONNX_TIME_LIMIT"] = "2"
    model = open_model(str(folder / "net.onnx"), ModelOptions(device="cpu"))
    preprocess = model.preprocess.changed({"size": (SIZE, SIZE)})
    described = model.layers(preprocess.size)
    names = [layer.name for layer in described if has_units(layer)]
    if not names or preprocess.channels != 3:
        return {"layers": names}
    layer = random.choice(names)
    dissections = run(model, [layer], feed_of(drawn(), SETTINGS))
    return {layer.layer: runs.numbers_of(layer) for layer in dissections}


def find_problem(folder: Path, numbers: Numbers) -> str:
    """Return what no dissection gives."""
    return "" if "layers" in numbers else runs.find_problem(folder, numbers)


ONNX = Reader(
    "onnx", make_samples, read, {".onnx": MESSAGES}, find_problem=find_problem
)
