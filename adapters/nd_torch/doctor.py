"""What torch finds on this machine: for ``nd doctor``."""

from __future__ import annotations

import torch

from nd_plugin import Finding


def examine() -> list[Finding]:
    """Its version, and the GPUs that it can use."""
    built = torch.version.cuda
    threads = Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count()))
        return [threads, Finding("CUDA for torch", f"{names}; built for CUDA {built}")]
    if built is None:
        return [
            threads,
            Finding("CUDA for torch", "a build for the CPU", "on a machine with a GPU: a CUDA build of torch"),
        ]
    return [threads, Finding("CUDA for torch", f"built for CUDA {built}, and no GPU or driver is found")]
