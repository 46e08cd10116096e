"""What ``nd doctor`` is told of ONNX Runtime, on machines of several kinds."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import onnx
import onnxruntime as ort
import pytest
import torch

from nd_onnxruntime import doctor
from nd_plugin import Finding


def findings(
    monkeypatch: pytest.MonkeyPatch,
    problem: str | None = None,
    **attributes: str | None,
) -> dict[str, Finding]:
    monkeypatch.setattr(doctor, "cuda_problem", lambda: problem)
    monkeypatch.setattr(
        ort, "cuda_version", attributes.get("built", "13.0"), raising=False
    )
    monkeypatch.setattr(torch.version, "cuda", attributes.get("torch", "13.0"))
    return {finding.subject: finding for finding in doctor.examine()}


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def version(name: str) -> str:
        if name in names:
            return "1.31.1"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)


def test_two_distributions_of_one_module(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "onnxruntime", "onnxruntime-gpu")
    finding = findings(monkeypatch)["ONNX Runtime"]
    assert finding.found == "onnxruntime 1.31.1, onnxruntime-gpu 1.31.1"
    assert (
        "the last one installed wins: uninstall both, then install one"
        in finding.remedy
    )


@pytest.mark.parametrize("names", [("onnxruntime",), ("onnxruntime-gpu",), ()])
def test_one_distribution_is_well(
    names: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, *names)
    finding = findings(monkeypatch)["ONNX Runtime"]
    assert finding.remedy == "" and finding.found == (
        f"{names[0]} 1.31.1" if names else ort.__version__
    )


def test_versions_and_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = findings(monkeypatch)
    assert "CPUExecutionProvider" in finding["ONNX Runtime's providers"].found
    assert (
        onnx.__version__ in finding["onnx"].found
        and f"IR {onnx.IR_VERSION}" in finding["onnx"].found
    )


def test_cuda_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(monkeypatch)["CUDA for ONNX Runtime"] == Finding(
        "CUDA for ONNX Runtime", "usable, built for CUDA 13.0"
    )


def test_cuda_of_two_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = findings(monkeypatch, torch="12.8")["CUDA for ONNX Runtime"]
    assert finding.remedy == (
        "torch is built for CUDA 12.8: install torch and onnxruntime-gpu for the same version of "
        "CUDA"
    )


def test_cuda_libraries_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = (
        "ONNX Runtime's CUDA libraries do not load: libcublasLt.so.13: cannot open shared object "
        "file"
    )
    finding = findings(monkeypatch, problem)["CUDA for ONNX Runtime"]
    assert finding.found == problem
    assert (
        "install torch for CUDA 13, whose libraries ONNX Runtime can use"
        in finding.remedy
    )
    assert "onnxruntime-gpu[cuda,cudnn]" in finding.remedy


def test_a_build_for_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = (
        f"this ONNX Runtime {ort.__version__} is built for CPUExecutionProvider"
    )
    finding = findings(monkeypatch, problem, built=None)["CUDA for ONNX Runtime"]
    assert finding == Finding(
        "CUDA for ONNX Runtime",
        problem,
        "on a machine with a GPU: pip install onnxruntime-gpu",
    )


def test_no_gpu_is_not_to_be_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = findings(
        monkeypatch, "ONNX Runtime finds no CUDA device that it can use"
    )["CUDA for ONNX Runtime"]
    assert finding.remedy == "" and finding.found.endswith("it runs on the CPU")
