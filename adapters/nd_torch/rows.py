"""Rows of a model's inputs: the images of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def row_count(value: Any) -> int | None:
    """Return the length of a tensor's first axis; None for other values and scalars."""
    return len(value) if isinstance(value, Tensor) and value.dim() > 0 else None


def expand_rows(inputs: Sequence[Any], rows: int) -> list[Any]:
    """Repeat a single image, and inputs that go with it, ``rows`` times."""
    expanded = []
    for value in inputs:
        if row_count(value) == 1:
            value = value.expand(rows, *value.shape[1:])
        expanded.append(value)
    return expanded
