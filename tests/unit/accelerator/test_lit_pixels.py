"""`count_lit_pixels` in plain torch against a loop over maps, and its use of memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lit_pixel_cases import GEOMETRIES, draw_case, special_cases
from torch import Tensor

from nd_plugin.accelerator import lit_pixels
from nd_plugin.accelerator.lit_pixels import bytes_per_map, count_lit_pixels


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("cells", [(7, 5), (1, 1), (2, 9)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_a_loop_over_maps(
    geometry: str, cells: tuple[int, int], dtype: torch.dtype
) -> None:
    case = draw_case(
        cells, (31, 48), geometry=GEOMETRIES[geometry], dtype=dtype, maps=20
    )
    assert torch.equal(count_lit_pixels(*case.arguments), case.expected().int())


@pytest.mark.parametrize("name", special_cases())
def test_equals_a_loop_over_maps_in_special_cases(name: str) -> None:
    case = special_cases()[name]
    assert torch.equal(count_lit_pixels(*case.arguments), case.expected().int())


def test_some_pixels_are_lit_and_the_tied_ones_are_dark() -> None:
    case = draw_case((7, 5), (31, 48), maps=20)
    counts = count_lit_pixels(*case.arguments)
    lower = torch.nextafter(case.thresholds, torch.tensor(-torch.inf))
    with_ties = count_lit_pixels(case.maps, lower, *case.arguments[2:])
    assert (counts.sum(1) > 0).sum() > 10
    assert (with_ties.sum(1) > counts.sum(1)).all()


def test_no_map_gives_no_row() -> None:
    case = draw_case((7, 5), (31, 48))
    counts = count_lit_pixels(
        case.maps[:0], case.thresholds[:0], case.images[:0], *case.arguments[3:]
    )
    assert counts.shape == (0, 7)
    assert counts.dtype == torch.int32


@pytest.mark.parametrize("cells", [(7, 7), (30, 40)])
def test_pieces_fit_into_the_memory(
    cells: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a piece takes is measured on a GPU (tests/gpu)."""
    case = draw_case(cells, (32, 48), maps=100)
    pieces = []
    count = lit_pixels._count

    def record(maps: Tensor, *arguments: Any) -> None:
        pieces.append(len(maps))
        count(maps, *arguments)

    monkeypatch.setattr(lit_pixels, "_count", record)
    memory = 30 * bytes_per_map(case.maps, case.grid) + 1
    counts = count_lit_pixels(*case.arguments, memory=memory)
    assert pieces == [30, 30, 30, 10]
    assert torch.equal(counts, case.expected().int())


def test_a_map_that_takes_more_than_the_memory_is_counted() -> None:
    case = draw_case((7, 5), (31, 48))
    counts = count_lit_pixels(*case.arguments, memory=1)
    assert torch.equal(counts, case.expected().int())
