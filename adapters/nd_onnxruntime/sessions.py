"""Sessions of ONNX Runtime: opened quietly on the device that was asked for, and run without copies."""

from __future__ import annotations

import ctypes
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from onnx import TensorProto, helper
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from nd_onnxruntime.document import Document
from nd_onnxruntime.feeding import Feed, ImageInput
from nd_plugin import BadInput, ModelFailed, ModelNotFound, NDError, Unavailable

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "Attention", "MultiHeadAttention", "QLinearConv")
FATAL = 4  # of ONNX Runtime's log levels: what goes wrong is raised, and told once
DTYPES: dict[torch.dtype, type[np.generic]] = {
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.float64: np.float64,
    torch.uint8: np.uint8,
}


@dataclass(frozen=True)
class Place:
    """Where a model runs."""

    provider: str
    index: int = 0
    maps: torch.device = field(default_factory=lambda: torch.device("cpu"))  # where its outputs are handed over

    @property
    def kind(self) -> str:
        """As ONNX Runtime's bindings call the device of the outputs."""
        return self.maps.type


@lru_cache
def cuda_problem() -> str | None:
    """Why ONNX Runtime cannot use CUDA here; None where it can. torch's CUDA libraries serve it, too."""
    if CUDA not in ort.get_available_providers():
        return f"this ONNX Runtime {ort.__version__} is built for {', '.join(ort.get_available_providers())}"
    with redirect_stdout(StringIO()):  # it chatters about what it does not find
        ort.preload_dlls()
    refusal = _refusal()
    if refusal is None:
        return None
    library = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    try:
        if library.exists():  # only now: loaded before ONNX Runtime itself has tried, it would not work any more
            ctypes.CDLL(str(library))
    except OSError as error:
        return f"ONNX Runtime's CUDA libraries do not load: {error}"
    return "ONNX Runtime finds no CUDA device that it can use" + (f": {refusal}" if refusal else "")


def _refusal() -> str | None:
    """What ONNX Runtime says to the smallest of models on CUDA; None where it runs there."""
    value, other = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "smallest", [value], [other])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = ort.SessionOptions()
    options.log_severity_level = FATAL
    ort.set_default_logger_severity(FATAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session = ort.InferenceSession(model.SerializeToString(), options, providers=[CUDA, CPU])
        return None if CUDA in session.get_providers() else ""
    except Exception as error:  # ONNX Runtime's errors have no common root
        return told(error)


def choose_place(wanted: str) -> Place:
    """The device that was asked for; under ``auto`` CUDA where it can be had. Raises Unavailable, never falls back."""
    found = re.fullmatch(r"(auto|cpu|cuda)(?::(\d+))?", wanted)
    if found is None or (found[2] and found[1] != "cuda"):
        raise BadInput(f"no device {wanted!r} for ONNX Runtime: auto, cpu, cuda, cuda:1 … are")
    problem = cuda_problem() if found[1] != "cpu" else "not asked for"
    if found[1] == "cuda" and problem:
        raise Unavailable(
            f"device {wanted!r} was asked for, and {problem}; use --device cpu, or see what nd doctor says"
        )
    if problem:
        return Place(CPU)
    index = int(found[2] or 0)
    return Place(CUDA, index, torch.device("cuda", index) if torch.cuda.is_available() else torch.device("cpu"))


def open_session(
    document: Document, place: Place, custom_ops: Sequence[str] = (), *, optimised: bool = True
) -> ort.InferenceSession:
    """A session on a document's model. Raises what `translated` says, and Unavailable where the provider is not had."""
    options = ort.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    for library in custom_ops:
        _register(options, library)
    locations = list(document.external)
    contents = [document.external[location].read_bytes() for location in locations]
    if locations:
        options.add_external_initializers_from_files_in_memory(locations, contents, [len(c) for c in contents])
    exact = {"device_id": place.index, "use_tf32": 0}  # in TF32 a batch may differ from its images by a thousandth
    providers: list[Any] = [(CUDA, exact), CPU] if place.provider == CUDA else [CPU]
    ort.set_default_logger_severity(FATAL)
    try:
        session = ort.InferenceSession(document.model.SerializeToString(), options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no common root of their own
        raise translated(error, document) from error
    if place.provider not in session.get_providers():
        raise Unavailable(f"ONNX Runtime took {session.get_providers()[0]} in place of {place.provider}")
    return session


def _register(options: ort.SessionOptions, library: str) -> None:
    try:
        options.register_custom_ops_library(library)
    except Exception as error:  # likewise
        raise BadInput(f"the library of custom operators {library!r} cannot be loaded: {told(error)}") from error


def translated(error: Exception, document: Document) -> NDError:
    """An error of ONNX Runtime's in our words."""
    said = told(error)
    custom = re.search(r"([\w.]+):(\w+)\(\S*\) is not a registered function/op", said)
    if custom or "is not a registered" in said:
        what = f"the operator {custom[2]} of the domain {custom[1]!r}" if custom else said
        return BadInput(
            f"{document.source} needs {what}, which ONNX Runtime does not know: give --custom-op-library FILE"
        )
    newer = re.search(r"Opset (\d+) is under development|IR version: (\d+), max supported IR version: \d+", said)
    if newer:
        what = f"opset {newer[1]}" if newer[1] else f"IR version {newer[2]}"
        return Unavailable(
            f"{document.source} is of {what}, which ONNX Runtime {ort.__version__} does not know: upgrade onnxruntime, "
            "or export the model for an earlier opset"
        )
    return ModelNotFound(f"ONNX Runtime cannot open {document.source}: {said}")


def told(error: Exception) -> str:
    """What an error says, on one line, without ONNX Runtime's own prefix."""
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))


def on_cpu_though_cuda(session: ort.InferenceSession) -> list[str]:
    """The heavy nodes that the CUDA provider left to the CPU."""
    if session.get_providers()[0] != CUDA:
        return []
    parts = [part for part in session.get_provider_graph_assignment_info() if part.ep_name == CPU]
    return [node.name or node.op_type for part in parts for node in part.get_nodes() if node.op_type in HEAVY]


@dataclass(frozen=True)
class Runner:
    """Runs a session on batches of images. What it gives is the caller's own: outputs are bound anew each time."""

    session: ort.InferenceSession
    place: Place
    image: ImageInput
    feeds: Mapping[str, Feed]

    def __call__(self, images: Tensor, more: Mapping[str, Tensor] | None = None) -> list[Tensor]:
        """The session's outputs, in order, for images (image, 3, row, column). Raises ModelFailed."""
        binding = self.session.io_binding()
        names = {value.name for value in self.session.get_inputs()}
        held = {name: tensor.contiguous() for name, tensor in (more or {}).items() if name in names}
        if self.image.name in names:
            held[self.image.name] = self.image.arranged(images)
        for name, tensor in held.items():
            device, kind = tensor.device, DTYPES[tensor.dtype]
            binding.bind_input(name, device.type, device.index or 0, kind, tuple(tensor.shape), tensor.data_ptr())
        for name, feed in self.feeds.items():
            binding.bind_cpu_input(name, feed.of(len(images)))
        for output in self.session.get_outputs():
            binding.bind_output(output.name, self.place.kind, self.place.index if self.place.kind == "cuda" else 0)
        if images.device.type == "cuda":
            torch.cuda.current_stream(images.device).synchronize()
        try:
            self.session.run_with_iobinding(binding)
        except Exception as error:  # likewise
            shape = tuple(images.shape)
            raise ModelFailed(f"the model failed on images of shape {shape}: {told(error)}") from error
        binding.synchronize_outputs()
        return [from_dlpack(value) for value in binding.get_outputs()]
