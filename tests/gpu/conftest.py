"""GPU of these tests; without one they are skipped.

``ND_GPU`` names another device than ``cuda``, to try the tests themselves: cpu, or cuda:1.
"""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture
def gpu() -> torch.device:
    """Device under test."""
    device = torch.device(os.environ.get("ND_GPU", "cuda"))
    if device.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return device


@pytest.fixture
def real_gpu(gpu: torch.device) -> torch.device:
    """Device under test, if it is one of CUDA."""
    if gpu.type != "cuda":
        pytest.skip(f"{gpu} has no streams and no TF32")
    return gpu
