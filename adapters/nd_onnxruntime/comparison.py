"""Comparisons of outputs up to rounding: batches against single images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

TOLERANCE = 1e-4  # of the largest absolute value
HALF_PRECISION_TOLERANCE = TOLERANCE * 50


def nearly_equal(actual: Tensor, expected: Tensor) -> bool:
    """Return whether two tensors have the same shape and the same values up to rounding."""
    if actual.shape != expected.shape:
        return False
    if not expected.numel():
        return True
    is_half = expected.dtype == torch.float16
    relative_tolerance = HALF_PRECISION_TOLERANCE if is_half else TOLERANCE
    tolerance = relative_tolerance * float(expected.abs().amax())
    return float((actual - expected).abs().amax()) <= tolerance


def equals_single_images(
    outputs: Sequence[Tensor],
    run: Callable[[Tensor], Sequence[Tensor]],
    images: Tensor,
) -> bool:
    """Return whether the ``outputs`` for a batch are those that ``run`` returns image by image."""
    single_runs = [run(images[index : index + 1]) for index in range(len(images))]
    for position, output in enumerate(outputs):
        joined = torch.cat(
            [single_outputs[position] for single_outputs in single_runs]
        )
        if not nearly_equal(output, joined):
            return False
    return True
