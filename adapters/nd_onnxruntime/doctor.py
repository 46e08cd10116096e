"""Findings about ONNX Runtime on this machine, for ``nd doctor``."""

from __future__ import annotations

from importlib import metadata

import onnx
import onnxruntime as ort
import torch

from nd_onnxruntime.sessions import cuda_problem
from nd_plugin import Finding

DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")
CUDA_SUBJECT = "CUDA for ONNX Runtime"
CONFLICT = (
    "both packages provide the module onnxruntime, and the last one installed wins: uninstall "
    "both, then install one"
)


def examine() -> list[Finding]:
    """Return versions, execution providers, and whether CUDA can be used."""
    opset = onnx.defs.onnx_opset_version()
    onnx_version = f"{onnx.__version__}, opset {opset}, IR {onnx.IR_VERSION}"
    return [
        _runtime_finding(),
        Finding(
            "ONNX Runtime's providers", ", ".join(ort.get_available_providers())
        ),
        Finding("onnx", onnx_version),
        _cuda_finding(),
    ]


def _runtime_finding() -> Finding:
    """Return the installed distributions of ONNX Runtime; two of them conflict."""
    installed = []
    for name in DISTRIBUTIONS:
        version = _version(name)
        if version:
            installed.append(f"{name} {version}")
    remedy = CONFLICT if len(installed) > 1 else ""
    return Finding("ONNX Runtime", ", ".join(installed) or ort.__version__, remedy)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cuda_finding() -> Finding:
    """Return whether ONNX Runtime can use CUDA, and what to install if it cannot."""
    built_for = str(getattr(ort, "cuda_version", "") or "")
    problem = cuda_problem()
    if problem is None:
        return Finding(
            CUDA_SUBJECT,
            f"usable, built for CUDA {built_for}",
            _torch_remedy(built_for),
        )
    if not built_for:
        return Finding(
            CUDA_SUBJECT,
            problem,
            "on a machine with a GPU: pip install onnxruntime-gpu",
        )
    if "libraries do not load" not in problem:
        return Finding(CUDA_SUBJECT, f"{problem}; it runs on the CPU")
    return Finding(
        CUDA_SUBJECT,
        problem,
        f"on a machine with a GPU: install torch for CUDA {_major(built_for)}, whose libraries "
        "ONNX Runtime can use, or pip install 'onnxruntime-gpu[cuda,cudnn]'",
    )


def _torch_remedy(built_for: str) -> str:
    """Return what to install if torch is built for another major version of CUDA."""
    torch_version = str(torch.version.cuda or "")
    if not torch_version or _major(built_for) == torch_version.partition(".")[0]:
        return ""
    return (
        f"torch is built for CUDA {torch_version}: install torch and onnxruntime-gpu for the same "
        "version of CUDA"
    )


def _major(version: str) -> str:
    return version.partition(".")[0]
