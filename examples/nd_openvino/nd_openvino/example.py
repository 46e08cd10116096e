"""Example model: a small IR file, written with OpenVINO alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from openvino import Model, opset13, save_model

UNITS = (8, 12)  # of the two convolutions
CLASSES = 5


def write_example(folder: Path) -> str:
    """Write a network of two convolutions for images of any size; return the text that opens it."""
    random = np.random.default_rng(0)
    image = opset13.parameter([-1, 3, -1, -1], np.float32, name="image")
    value = image
    channels = 3
    for number, units in enumerate(UNITS, start=1):
        shape = (units, channels, 3, 3)
        kernels = random.standard_normal(shape).astype(np.float32)
        value = opset13.convolution(
            value, kernels, [2, 2], [1, 1], [1, 1], [1, 1], name=f"conv{number}"
        )
        value = opset13.relu(value, name=f"relu{number}")
        channels = units
    pooled = opset13.reduce_mean(value, np.array([2, 3]), name="pool")
    weights = random.standard_normal((channels, CLASSES)).astype(np.float32)
    scores = opset13.matmul(pooled, weights, False, False, name="scores")
    path = folder / "example.xml"
    model = Model([opset13.result(scores)], [image], "example")
    save_model(model, path, compress_to_fp16=False)
    return f"openvino:{path}"
