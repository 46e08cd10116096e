"""Transfers of tensors to a device."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the CPU to a device; on CUDA without waiting for it.

    CUDA stages memory that is not pinned before the call returns, and torch keeps pinned memory
    until the copy is done; other devices may read it later, when it is freed.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")
