"""What ONNX Runtime finds on this machine: for ``nd doctor``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import onnx
import onnxruntime as ort
import torch

from nd_onnxruntime.sessions import cuda_problem
from nd_plugin import Finding

DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")


def examine() -> list[Finding]:
    """Versions, providers, and what keeps CUDA from being used."""
    return [*_versions(), _cuda()]


def _versions() -> Iterator[Finding]:
    installed = [name for name in DISTRIBUTIONS if _version(name)]
    both = "both own the module onnxruntime, and the last one installed wins: uninstall both, then install one"
    shown = ", ".join(f"{name} {_version(name)}" for name in installed)
    yield Finding("ONNX Runtime", shown or ort.__version__, both if len(installed) > 1 else "")
    yield Finding("ONNX Runtime's providers", ", ".join(ort.get_available_providers()))
    yield Finding("onnx", f"{onnx.__version__}, opset {onnx.defs.onnx_opset_version()}, IR {onnx.IR_VERSION}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cuda() -> Finding:
    built, theirs = str(getattr(ort, "cuda_version", "") or ""), str(torch.version.cuda or "")
    problem = cuda_problem()
    if problem is None:
        apart = bool(theirs) and built.partition(".")[0] != theirs.partition(".")[0]
        remedy = f"torch is built for CUDA {theirs}: install versions that are built for the same one" if apart else ""
        return Finding("CUDA for ONNX Runtime", f"usable, built for CUDA {built}", remedy)
    if not built:
        return Finding("CUDA for ONNX Runtime", problem, "on a machine with a GPU: pip install onnxruntime-gpu")
    if "libraries do not load" not in problem:
        return Finding("CUDA for ONNX Runtime", f"{problem}; it runs on the CPU")
    return Finding(
        "CUDA for ONNX Runtime",
        problem,
        f"on a machine with a GPU: install torch for CUDA {built.partition('.')[0]}, whose libraries serve it, or "
        f"pip install 'onnxruntime-gpu[cuda,cudnn]'",
    )
