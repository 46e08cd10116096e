"""ONNX Runtime backend: layers of any ONNX file, whatever framework exported it."""

import os
from typing import Any

from nd_plugin import BackendSpec, hookimpl

ENDINGS = (".onnx", ".ort")
CERTAIN = 100  # strength of the claim


def match(model: Any) -> int:
    """Claim paths of ONNX files and models that `onnx` has loaded.

    Files in ``.ort`` format are claimed too, to be refused with the reason.
    """
    if isinstance(model, str | os.PathLike):
        return CERTAIN if os.fspath(model).lower().endswith(ENDINGS) else 0
    kind = type(model)
    package = kind.__module__.partition(".")[0]
    return CERTAIN if kind.__name__ == "ModelProto" and package == "onnx" else 0


@hookimpl
def nd_backends() -> list[BackendSpec]:
    """Register the backend."""
    return [
        BackendSpec(
            name="onnxruntime",
            summary="ONNX files on ONNX Runtime, CUDA or CPU",
            factory="nd_onnxruntime.backend:OnnxBackend",
            match=match,
            accepts=("FILE.onnx", "an onnx.ModelProto"),
            doctor="nd_onnxruntime.doctor:examine",
            example="nd_onnxruntime.example:example",
        )
    ]
