"""Trials of files that may be damaged, in a process that may crash in the place of this one.

ONNX Runtime trusts a file in places where ONNX's own inference of shapes does not: it divides by a
zero, and the process is gone. A file in which that inference finds fault is therefore opened in
another process first; sound files are not, and cost the inference alone.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from math import prod
from pathlib import Path

from onnx import ModelProto, TensorProto, ValueInfoProto, helper, shape_inference

from nd_onnxruntime import trial_process
from nd_onnxruntime.proto import external_tensors
from nd_plugin import ModelNotFound

MOST_NUMBERS = 1024  # of a tensor that shapes may be inferred from
MOST_BYTES = 2**28  # of a file that is tried out
SECONDS = 60.0  # for a trial that hangs: the time limit of runs says so


def try_out(source: str, model: ModelProto) -> None:
    """Open a model in another process where ONNX finds fault with it.

    Raises ModelNotFound where that process crashes.
    """
    fault = find_fault(model)
    if not fault or model.ByteSize() > MOST_BYTES or external_tensors(model.graph):
        return
    with tempfile.TemporaryDirectory(prefix="nd-trial-") as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(model.SerializeToString())
        code = _exit_code(path)
    if code < 0:
        raise ModelNotFound(
            f"{source} is damaged: ONNX Runtime crashes on it ({_signal_name(-code)}); ONNX says: "
            f"{fault}"
        )


def _exit_code(path: Path) -> int:
    script = str(trial_process.__file__)
    # -P: the folder of the script is no place for modules
    command = [sys.executable, "-P", script, str(path)]
    try:
        finished = subprocess.run(
            command, capture_output=True, check=False, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return finished.returncode


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def find_fault(model: ModelProto) -> str:
    """Return what ONNX's inference of shapes finds wrong with a model; "" for nothing."""
    try:
        shape_inference.infer_shapes(
            _without_weights(model), check_type=True, strict_mode=True
        )
    except Exception as error:  # of several classes
        return " ".join(str(error).split())[:300]
    return ""


def _without_weights(model: ModelProto) -> ModelProto:
    """Return a copy whose large tensors are inputs: their numbers say nothing of shapes."""
    graph = model.graph
    copy = ModelProto(ir_version=model.ir_version)
    copy.opset_import.extend(model.opset_import)
    copy.functions.extend(model.functions)
    copy.graph.name = "graph"
    copy.graph.node.extend(graph.node)
    copy.graph.input.extend(graph.input)
    copy.graph.output.extend(graph.output)
    names = {value.name for value in graph.input}
    for tensor in graph.initializer:
        if prod(tensor.dims) <= MOST_NUMBERS:
            copy.graph.initializer.append(tensor)
        elif tensor.name not in names:
            copy.graph.input.append(_declared(tensor))
    return copy


def _declared(tensor: TensorProto) -> ValueInfoProto:
    return helper.make_tensor_value_info(
        tensor.name, tensor.data_type, list(tensor.dims)
    )
