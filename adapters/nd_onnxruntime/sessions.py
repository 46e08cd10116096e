"""Sessions of ONNX Runtime, opened on a chosen device, and the choice of that device."""

from __future__ import annotations

import ctypes
import re
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch
from onnx import ModelProto, TensorProto, helper

from nd_onnxruntime.device_stream import DeviceStream, cuda_options
from nd_onnxruntime.document import Document
from nd_onnxruntime.operators import (
    ATTENTION,
    FUSED_CONVOLUTIONS,
    QUANTISED_CONVOLUTIONS,
    qualified,
)
from nd_onnxruntime.runtime_errors import one_line, translate
from nd_plugin import BadInput, Unavailable

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
HEAVY_OPERATORS = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    *QUANTISED_CONVOLUTIONS,
    *FUSED_CONVOLUTIONS,
    *ATTENTION,
)
FATAL = 4  # log level: errors are raised, and would be logged a second time
DEVICE = re.compile(r"(auto|cpu|cuda)(?::(\d+))?")


@dataclass(frozen=True)
class SessionDevice:
    """Execution provider of sessions, and the device of their inputs and outputs."""

    provider: str
    index: int = 0
    tensors: torch.device = field(default_factory=lambda: torch.device("cpu"))
    use_tf32: bool = False  # in place of float32, on CUDA


CPU_DEVICE = SessionDevice(CPU)


@lru_cache
def cuda_problem() -> str | None:
    """Return why ONNX Runtime cannot use CUDA here; None where it can.

    The CUDA libraries that torch brings are used if no others are installed.
    """
    providers = ort.get_available_providers()
    if CUDA not in providers:
        return f"this ONNX Runtime {ort.__version__} is built for {', '.join(providers)}"
    with redirect_stdout(StringIO()):
        # it prints every library that it does not find
        ort.preload_dlls()
    refusal = _cuda_refusal()
    if refusal is None:
        return None
    library_error = _load_cuda_library()
    if library_error is not None:
        return f"ONNX Runtime's CUDA libraries do not load: {library_error}"
    reason = f": {refusal}" if refusal else ""
    return f"ONNX Runtime finds no CUDA device that it can use{reason}"


def _load_cuda_library() -> OSError | None:
    """Load the library of the CUDA provider; return the error where that fails.

    Only after ONNX Runtime itself has tried: loaded earlier, the library would not work any more.
    """
    library = (
        Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    )
    try:
        if library.exists():
            ctypes.CDLL(str(library))
    except OSError as error:
        return error
    return None


def _cuda_refusal() -> str | None:
    """Run a minimal model on CUDA; return ONNX Runtime's error message, None on success.

    The message is empty where ONNX Runtime falls back on the CPU without an error.
    """
    options = _session_options()
    content = _minimal_model().SerializeToString()
    ort.set_default_logger_severity(FATAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session = ort.InferenceSession(content, options, providers=[CUDA, CPU])
    except Exception as error:  # ONNX Runtime's errors have no common base class
        return one_line(error)
    return None if CUDA in session.get_providers() else ""


def _minimal_model() -> ModelProto:
    """Return a model of one Relu on one number."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    relu = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([relu], "smallest", [x], [y])
    opset = helper.make_opsetid("", 13)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def choose_device(name: str) -> SessionDevice:
    """Return the device called ``name``: auto (CUDA if usable, else CPU), cpu, cuda, cuda:1 …

    Raises BadInput for an unknown name, Unavailable for CUDA that cannot be used.
    """
    match = DEVICE.fullmatch(name)
    if match is None or (match[2] and match[1] != "cuda"):
        raise BadInput(
            f"no device {name!r} for ONNX Runtime; choose auto, cpu, cuda or cuda:INDEX"
        )
    kind = match[1]
    if kind == "cpu":
        return CPU_DEVICE
    problem = cuda_problem()
    if problem is None:
        index = int(match[2] or 0)
        tensors = f"cuda:{index}" if torch.cuda.is_available() else "cpu"
        return SessionDevice(CUDA, index, torch.device(tensors))
    if kind == "auto":
        return CPU_DEVICE
    raise Unavailable(
        f"device {name!r} is not available: {problem}; use --device cpu, or run nd doctor for "
        "details"
    )


def open_session(
    document: Document,
    device: SessionDevice,
    custom_ops: Sequence[str] = (),
    *,
    optimised: bool = True,
    stream: DeviceStream | None = None,
) -> ort.InferenceSession:
    """Open a session on a document's model; on CUDA it computes on ``stream``.

    Raises the errors of `translate`, and Unavailable where ONNX Runtime falls back on another
    provider.
    """
    options = _session_options()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if not optimised:
        options.graph_optimization_level = (
            ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        )
    for library in custom_ops:
        _register_custom_ops(options, library)
    contents = {
        location: path.read_bytes() for location, path in document.external.items()
    }
    if contents:  # alive until the session has read them
        lengths = [len(content) for content in contents.values()]
        options.add_external_initializers_from_files_in_memory(
            list(contents), list(contents.values()), lengths
        )
    ort.set_default_logger_severity(FATAL)
    providers = _providers(device, stream or DeviceStream())
    try:
        # it prints that it tries again without CUDA; what was wrong is raised in any case
        with redirect_stdout(StringIO()):
            session = ort.InferenceSession(
                document.model.SerializeToString(), options, providers=providers
            )
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise translate(error, document) from error
    if device.provider not in session.get_providers():
        raise Unavailable(
            f"ONNX Runtime fell back on {session.get_providers()[0]} instead of {device.provider}; "
            "use --device cpu, or run nd doctor for details"
        )
    return session


def _session_options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = FATAL
    return options


def _providers(device: SessionDevice, stream: DeviceStream) -> list[Any]:
    """Return the execution providers in order of preference.

    TF32 is off unless it is chosen: a batch may differ from its single images by a thousandth.
    """
    if device.provider != CUDA:
        return [CPU]
    options = cuda_options(device.index, use_tf32=device.use_tf32)
    return [(CUDA, {**options, **stream.session_options}), CPU]


def _register_custom_ops(options: ort.SessionOptions, library: str) -> None:
    try:
        options.register_custom_ops_library(library)
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise BadInput(
            f"cannot load the library of custom operators {library!r}: {one_line(error)}"
        ) from error


def heavy_nodes_on_cpu(session: ort.InferenceSession) -> list[str]:
    """Return the names of heavy nodes that the CUDA provider left to the CPU."""
    if session.get_providers()[0] != CUDA:
        return []
    names = []
    for subgraph in session.get_provider_graph_assignment_info():
        if subgraph.ep_name == CPU:
            heavy = [
                node
                for node in subgraph.get_nodes()
                if qualified(node.domain, node.op_type) in HEAVY_OPERATORS
            ]
            names += [node.name or node.op_type for node in heavy]
    return names
