"""Activation maps of torch models, and their comparison across memory formats."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nd_plugin import open_model

# Probes run models on channels-last images, the tests' own calls on contiguous ones. Kernels for
# the two add in different orders on many processors, and float32 rounds each of up to 200 terms of
# a sum near 1 by 2**-24 = 6e-8.
TOLERANCE = 1e-5
# least difference between values that must not be confused
DISTINCT = 100 * TOLERANCE


def maps_of(model: nn.Module, layer: str | nn.Module, images: Tensor) -> Tensor:
    _, _, height, width = images.shape
    with open_model(model).probe([layer], (height, width)) as probe:
        (maps,) = probe(images).values()
    return maps


def assert_same_maps(maps: Tensor, expected: Tensor) -> None:
    """Compare maps computed in two memory formats.

    Also assert that the comparison would notice images, units, rows or columns in a wrong order.
    """
    torch.testing.assert_close(maps, expected, rtol=TOLERANCE, atol=TOLERANCE)
    for axis in range(expected.dim()):
        slices = expected.movedim(axis, 0).flatten(1)
        distances = torch.cdist(slices, slices, p=float("inf"))
        distances.fill_diagonal_(float("inf"))
        assert distances.min() > DISTINCT, (
            f"slices along axis {axis} are too similar for this test"
        )
    rows, columns = expected.shape[2:]
    if rows == columns:
        assert (expected - expected.transpose(2, 3)).abs().max() > DISTINCT
