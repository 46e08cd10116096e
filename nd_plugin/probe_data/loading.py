"""Options of loading and their defaults: batch size, memory."""

from __future__ import annotations

import operator
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
