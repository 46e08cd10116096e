"""Translation of ONNX Runtime's errors into those of nd_plugin."""

from __future__ import annotations

import re

import onnxruntime as ort

from nd_onnxruntime.document import Document
from nd_plugin import BadInput, ModelNotFound, NDError, Unavailable

PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
UNKNOWN_OPERATOR = re.compile(
    r"([\w.]+):(\w+)\(\S*\) is not a registered function/op"
)
# place and condition in ONNX Runtime's own source
SOURCE_LINE = re.compile(r"/\S+\.(?:cc|h):\d+ .*? was false\. ")
MISSING_KERNEL = re.compile(
    r"Could not find an implementation for (\w+)\(\d+\) node with name '(.*?)'"
)
NEW_OPSET = re.compile(r"Opset (\d+) is under development")
NEW_IR_VERSION = re.compile(r"IR version: (\d+), max supported IR version: \d+")


class KernelMissing(ModelNotFound):
    """Operator that ONNX Runtime knows, but cannot compute for these types or on this device."""

    def __init__(self, source: str, operator: str, node_name: str) -> None:
        self.operator = operator
        self.node_name = node_name
        super().__init__(
            f"ONNX Runtime cannot run {source}: it has no implementation of the operator "
            f"{operator} for the types of node {node_name!r} on this device (a file that was "
            "optimised for another device, or numbers such as bfloat16); use the file as it was "
            "exported, in float32"
        )


def one_line(error: Exception) -> str:
    """Return an error's message on one line, without ONNX Runtime's own prefix and source lines."""
    message = PREFIX.sub("", " ".join(str(error).split()))
    return SOURCE_LINE.sub("", message)


def translate(error: Exception, document: Document) -> NDError:
    """Return the error of nd_plugin for one that ONNX Runtime raised on opening a session."""
    message = one_line(error)
    source = document.source
    if "is not a registered" in message:
        operator = UNKNOWN_OPERATOR.search(message)
        missing = (
            f"the operator {operator[2]} of the domain {operator[1]!r}"
            if operator
            else message
        )
        return BadInput(
            f"{source} needs {missing}, which ONNX Runtime does not know: give the library that "
            "implements it with --custom-op-library FILE"
        )
    missing_kernel = MISSING_KERNEL.search(message)
    if missing_kernel:
        return KernelMissing(source, missing_kernel[1], missing_kernel[2])
    requirement = _unsupported_version(message)
    if requirement:
        return Unavailable(
            f"{source} uses {requirement}, which ONNX Runtime {ort.__version__} does not support: "
            "upgrade onnxruntime, or export the model for an earlier opset"
        )
    return ModelNotFound(f"ONNX Runtime cannot open {source}: {message}")


def _unsupported_version(message: str) -> str | None:
    """Return the opset or IR version that a message calls too new; None where it names neither."""
    opset = NEW_OPSET.search(message)
    if opset:
        return f"opset {opset[1]}"
    ir_version = NEW_IR_VERSION.search(message)
    return f"IR version {ir_version[1]}" if ir_version else None
