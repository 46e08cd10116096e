"""`summarize_maps` in plain torch against NumPy."""

from __future__ import annotations

import pytest
import torch
from map_summary_cases import (
    SHAPES,
    assert_same_summary,
    draw_floors,
    draw_maps,
    memory_formats,
    plain_summary,
)

from nd_plugin.accelerator.peaks import MapReader, map_reader, summarize_maps

Shape = tuple[int, int, int, int]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_numpy_in_every_memory_format(
    shape: Shape, dtype: torch.dtype
) -> None:
    maps = draw_maps(shape, dtype)
    floors = draw_floors(maps)
    expected = plain_summary(maps, floors)
    for strided in memory_formats(maps).values():
        assert_same_summary(summarize_maps(strided, floors), expected)


def test_nan_is_passed_on() -> None:
    maps = draw_maps((3, 5, 7, 9))
    maps[1, 2, 3, 4] = torch.nan
    summary = summarize_maps(maps, draw_floors(maps))
    assert summary.peaks.isnan().nonzero().tolist() == [[1, 2]]
    assert summary.lowest.isnan().nonzero().tolist() == [[1, 2]]


def test_the_cpu_has_no_kernel() -> None:
    reader = map_reader(torch.device("cpu"))
    maps = draw_maps((3, 5, 7, 9))
    floors = draw_floors(maps)
    assert reader == MapReader(None)
    assert reader.note is None
    assert_same_summary(reader(maps, floors), plain_summary(maps, floors))


def test_readers_of_a_gpu_share_its_kernel() -> None:
    gpu = torch.device("cuda:0")
    assert map_reader(gpu).kernel is map_reader(gpu).kernel is not None
