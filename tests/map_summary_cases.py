"""Activation maps in all memory formats, and their summary by plain loops."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nd_plugin.accelerator.peaks import MapSummary

SHAPES = [
    (3, 5, 7, 9),
    (1, 1, 1, 1),
    (2, 200, 1, 1),
    (2, 3, 1, 40),
    (2, 3, 40, 1),
    (2, 3, 33, 37),
    (2, 130, 3, 3),
]


def draw_maps(
    shape: tuple[int, int, int, int], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Draw maps with zeros of both signs, ties, and infinite values."""
    generator = torch.Generator().manual_seed(sum(shape))
    maps = torch.randn(shape, generator=generator, dtype=torch.float64)
    maps = maps.round(decimals=1).to(dtype)
    maps[torch.rand(shape, generator=generator) < 0.05] = -torch.inf
    maps[torch.rand(shape, generator=generator) < 0.1] = -0.0
    return maps


def draw_floors(maps: Tensor) -> Tensor:
    """Return floors that some values equal."""
    floors = maps[0, :, 0, 0].clone()
    floors[::3] = 0.0
    return floors


def memory_formats(maps: Tensor) -> dict[str, Tensor]:
    """Return the same maps as they may lie in memory."""
    images, units, rows, columns = maps.shape
    tokens = maps.flatten(2).transpose(1, 2).contiguous()
    with_class_token = torch.cat([tokens[:, :1], tokens], dim=1)
    tokens_on_grid = with_class_token[:, 1:].transpose(1, 2)
    padded = torch.zeros(images, units + 1, rows + 2, columns + 3).to(maps)
    padded[:, 1:, 1:-1, 1:-2] = maps
    return {
        "contiguous": maps.contiguous(),
        "channels last": maps.contiguous(memory_format=torch.channels_last),
        "tokens": tokens_on_grid.unflatten(2, (rows, columns)),
        "cropped": padded[:, 1:, 1:-1, 1:-2],
        "transposed": maps.transpose(2, 3).contiguous().transpose(2, 3),
        "every second image": maps.repeat_interleave(2, dim=0)[::2],
    }


def plain_summary(maps: Tensor, floors: Tensor) -> MapSummary:
    """Summarize with NumPy, map by map."""
    array = maps.numpy()
    image_count, unit_count = array.shape[:2]
    peaks = np.empty((image_count, unit_count), array.dtype)
    lowest = np.empty_like(peaks)
    nonzero = np.zeros(unit_count, np.int64)
    not_below = np.zeros(unit_count, np.int64)
    for image in range(image_count):
        for unit in range(unit_count):
            values = array[image, unit]
            peaks[image, unit] = values.max()
            lowest[image, unit] = values.min()
            nonzero[unit] += (values != 0).sum()
            not_below[unit] += (values >= floors[unit].item()).sum()
    arrays = peaks, lowest, nonzero, not_below
    return MapSummary(*[torch.from_numpy(each) for each in arrays])


def assert_same_summary(summary: MapSummary, expected: MapSummary) -> None:
    for name, tensor in summary._asdict().items():
        expected_tensor = getattr(expected, name)
        assert tensor.dtype == expected_tensor.dtype, name
        both_nan = tensor.isnan() & expected_tensor.isnan()
        assert ((tensor == expected_tensor) | both_nan).all(), name
