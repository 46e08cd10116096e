"""The kernel that summarizes maps against NumPy, run by Triton's interpreter."""

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

from nd_plugin.accelerator import peaks_triton
from nd_plugin.accelerator.kernels import Kernel
from nd_plugin.accelerator.peaks import MapReader, equals_plain

CPU = torch.device("cpu")
Shape = tuple[int, int, int, int]


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_numpy_in_every_memory_format(shape: Shape) -> None:
    maps = draw_maps(shape)
    floors = draw_floors(maps)
    expected = plain_summary(maps, floors)
    for strided in memory_formats(maps).values():
        assert_same_summary(peaks_triton.summarize_maps(strided, floors), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_is_passed_on(dtype: torch.dtype) -> None:
    maps = draw_maps((3, 5, 7, 9), dtype)
    maps[1, 2, 3, 4] = torch.nan
    maps[2, 1] = torch.nan
    floors = draw_floors(maps)
    summary = peaks_triton.summarize_maps(maps, floors)
    assert_same_summary(summary, plain_summary(maps, floors))


def test_more_cells_than_are_read_in_one_step() -> None:
    maps = draw_maps((1, 2, 50, 60))
    floors = draw_floors(maps)
    expected = plain_summary(maps, floors)
    for strided in memory_formats(maps).values():
        assert_same_summary(peaks_triton.summarize_maps(strided, floors), expected)


def test_no_image_gives_no_peak() -> None:
    maps = draw_maps((3, 5, 7, 9))
    summary = peaks_triton.summarize_maps(maps[:0], draw_floors(maps))
    assert summary.peaks.shape == (0, 5)
    assert summary.nonzero.tolist() == [0] * 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_sample_passes(dtype: torch.dtype) -> None:
    assert equals_plain(peaks_triton, CPU, (dtype,))


def test_the_reader_uses_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = draw_maps((3, 5, 7, 9))
    floors = draw_floors(maps)
    kernel = Kernel("maps were read", peaks_triton.__name__, equals_plain, 0)
    reader = MapReader(kernel)
    assert_same_summary(reader(maps, floors), plain_summary(maps, floors))
    calls = []
    monkeypatch.setattr(
        peaks_triton, "summarize_maps", lambda *_: calls.append("kernel")
    )
    reader(maps, floors)
    assert calls == ["kernel"]
    assert reader.note is None
