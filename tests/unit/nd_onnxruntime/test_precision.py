"""Precision of a file: the number types of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import pytest
from onnx import numpy_helper

from nd_onnxruntime.precision import precision_of
from nd_plugin import open_model


@pytest.mark.parametrize(
    ("make", "precision"),
    [
        (onnx_files.dynamic_batch, "float32"),
        (onnx_files.fp16, "float16"),
        (onnx_files.tf2onnx_names, "float32"),
    ],
)
def test_of_files(make: Any, precision: str, tmp_path: Path) -> None:
    assert open_model(str(make(tmp_path))).precision == precision  # type: ignore[attr-defined]


def test_the_type_of_most_weights_comes_first() -> None:
    """Shapes, scales and biases are no weights."""
    arrays = {
        "scale": np.ones(500, np.float64),
        "shape": np.ones(4, np.int64),
        "first": np.ones((3, 4), np.float32),
        "second": np.ones((30, 40), np.int8),
    }
    tensors = [
        numpy_helper.from_array(array, name) for name, array in arrays.items()
    ]
    assert precision_of(tensors) == "int8 and float32"
    assert precision_of(tensors[:2]) == ""
