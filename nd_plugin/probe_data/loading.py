"""Defaults of loading: batch size, worker processes, memory."""

from __future__ import annotations

import multiprocessing
import os

import torch

MEMORY = 2**30  # bytes for candidates, unless told otherwise


def default_batch_size(device: torch.device) -> int:
    """What was fastest, or nearly so, for all networks tried on a CPU (benchmarks/README.md); larger on a GPU."""
    return 24 if device.type == "cpu" else 64


def cores() -> int:
    """Processors that this process may run on."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


def default_workers() -> int:
    """One process fewer than there are cores, four at the most, shared with the other processes of torchrun.

    None where processes do not start by forking:
    started otherwise they would run the caller's script again, which a script without a main guard does not survive.
    """
    if multiprocessing.get_start_method() == "spawn":
        return 0
    return max(min(cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1, 4), 0)
