"""The ONNX Runtime backend: any ONNX file, whatever framework exported it, looked into by exposing inner values."""

import os
from typing import Any

from nd_plugin import BackendSpec, hookimpl

ENDINGS = (".onnx", ".ort")


def match(model: Any) -> int:
    """Paths of ONNX files (``.ort`` ones too, to be refused with a reason), and models that `onnx` has loaded."""
    if isinstance(model, str | os.PathLike):
        return 100 if os.fspath(model).lower().endswith(ENDINGS) else 0
    kind = type(model)
    return 100 if kind.__name__ == "ModelProto" and kind.__module__.partition(".")[0] == "onnx" else 0


@hookimpl
def nd_backends() -> list[BackendSpec]:
    """This backend."""
    return [
        BackendSpec(
            name="onnxruntime",
            summary="ONNX files on ONNX Runtime, CUDA or CPU",
            factory="nd_onnxruntime.backend:OnnxBackend",
            match=match,
            accepts=("FILE.onnx", "an onnx.ModelProto"),
            doctor="nd_onnxruntime.doctor:examine",
        )
    ]
