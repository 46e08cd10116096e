"""Findings about torch on this machine, for ``nd doctor``."""

from __future__ import annotations

import torch

from nd_plugin import Finding


def examine() -> list[Finding]:
    """Report torch's version, and the GPUs that it can use."""
    threads = torch.get_num_threads()
    return [
        Finding("torch", f"{torch.__version__}, {threads} threads"),
        _examine_cuda(),
    ]


def _examine_cuda() -> Finding:
    subject = "CUDA for torch"
    cuda_version = torch.version.cuda
    if torch.cuda.is_available():
        indices = range(torch.cuda.device_count())
        names = ", ".join(torch.cuda.get_device_name(index) for index in indices)
        return Finding(subject, f"{names}; built for CUDA {cuda_version}")
    if cuda_version is None:
        remedy = "on a machine with a GPU, install a CUDA build of torch"
        return Finding(subject, "CPU-only build", remedy)
    return Finding(
        subject, f"built for CUDA {cuda_version}; no GPU or driver found"
    )
