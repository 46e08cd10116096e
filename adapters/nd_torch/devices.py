"""Devices and number types: where a model runs, and where the user wants it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nd_plugin import BadInput, Unavailable

CPU = torch.device("cpu")


def choose_device(requested: str, module: nn.Module | None) -> torch.device:
    """Return the requested device; under ``auto`` the module's, or the CPU.

    Raises BadInput for a text that names no device, and Unavailable; never falls back to another.
    """
    if requested == "auto":
        module_device = device_of(module) if module is not None else None
        return module_device or CPU
    try:
        device = torch.device(requested)
    except RuntimeError as error:
        raise BadInput(
            f"no device {requested!r}; devices are auto, cpu, cuda, cuda:1 …"
        ) from error
    if device.type == "cuda":
        _check_cuda(device)
    try:
        torch.empty(0, device=device)
    except Exception as error:
        # NotImplementedError, AssertionError, RuntimeError: by build
        raise Unavailable(
            f"device {requested!r} is not available to torch {torch.__version__}: {error}"
        ) from error
    return device


def _check_cuda(device: torch.device) -> None:
    gpu_count = torch.cuda.device_count()
    if torch.cuda.is_available() and (device.index or 0) < gpu_count:
        return
    raise Unavailable(
        f"device {str(device)!r} was asked for, but torch {torch.__version__} sees {gpu_count} "
        "CUDA devices; use --device cpu, or install a CUDA build of torch and the GPU's driver"
    )


def device_of(module: nn.Module) -> torch.device | None:
    """Return the device of a module's first parameter or buffer; None where it has neither."""
    for tensor in _weights(module):
        return tensor.device
    return None


def dtype_of(module: nn.Module) -> torch.dtype:
    """Return the number type of a module's first floating-point weight, or float32."""
    for tensor in _weights(module):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32


def _weights(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()
