"""Options of loading and their defaults: batch size, worker processes, memory."""

from __future__ import annotations

import multiprocessing
import operator
import os
from typing import Any

import torch

from nd_plugin.errors import BadInput

MEMORY = 2**30  # bytes for candidates, by default


def whole_number(name: str, value: Any, minimum: int) -> int | None:
    """Return an option's value as a plain int; None stays None.

    Raises BadInput, naming the option, for other kinds of values and below ``minimum``.
    """
    if value is None:
        return None
    try:
        is_whole_float = isinstance(value, float) and value.is_integer()
        number = int(value) if is_whole_float else operator.index(value)
    except TypeError as error:
        raise BadInput(f"{name} {value!r} is not a whole number") from error
    if number < minimum:
        raise BadInput(f"{name} {value} is less than {minimum}")
    return number


def default_batch_size(device: torch.device) -> int:
    """Return the fastest batch size, or nearly so, of networks tried (benchmarks/README.md)."""
    return 24 if device.type == "cpu" else 64


def cores() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers() -> int:
    """Return how many worker processes decode: one fewer than there are cores, at most four.

    Processes that torchrun started share the cores. Without fork there are no workers: they would
    run the caller's script again, and fail if it has no main guard.
    """
    if multiprocessing.get_start_method() == "spawn":
        return 0
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(min(cores() // processes - 1, 4), 0)
