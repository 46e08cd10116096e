"""Summary of a batch of activation maps by a Triton kernel that reads each value once."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from nd_plugin.accelerator.kernels import device_of
from nd_plugin.accelerator.peaks import MapSummary

# values that a program reads in one step
VALUES_AT_ONCE = 2048
CELLS_AT_ONCE = 1024  # of one unit
UNITS_AT_ONCE = 128  # whose values lie next to each other
LAUNCH_OPTIONS: dict[str, int | bool] = {
    "num_warps": 4,
    "num_stages": 1,
    "enable_fp_fusion": False,
}


def summarize_maps(maps: Tensor, floors: Tensor) -> MapSummary:
    """Summarize ``maps`` (image, unit, row, column) with ``floors`` (unit,) of the same type.

    Plain version: `accelerator.peaks.summarize_maps`.
    """
    image_count, unit_count = maps.shape[:2]
    peaks = maps.new_empty(image_count, unit_count)
    nonzero = torch.zeros(unit_count, dtype=torch.int64, device=maps.device)
    summary = MapSummary(
        peaks, torch.empty_like(peaks), nonzero, torch.zeros_like(nonzero)
    )
    if peaks.numel():
        launch(maps, floors, summary)
    return summary


def launch(maps: Tensor, floors: Tensor, summary: MapSummary) -> Any:
    """Write the summary of at least one map into ``summary``, whose counts begin at 0.

    Returns the compiled kernel.
    """
    flat_maps = maps.flatten(2)
    image_count, unit_count, cell_count = flat_maps.shape
    units, cells = block_size(flat_maps)
    with device_of(maps):
        return summarize_block[(image_count, triton.cdiv(unit_count, units))](
            flat_maps,
            floors.contiguous(),
            *summary,
            unit_count,
            cell_count,
            *flat_maps.stride(),
            UNITS=units,
            CELLS=cells,
            **LAUNCH_OPTIONS,
        )


def block_size(flat_maps: Tensor) -> tuple[int, int]:
    """Return how many units and cells of ``flat_maps`` (image, unit, cell) are read in one step.

    The larger of the two numbers is the one whose values lie next to each other in memory.
    """
    _, unit_count, cell_count = flat_maps.shape
    all_units = triton.next_power_of_2(unit_count)
    all_cells = triton.next_power_of_2(cell_count)
    if flat_maps.stride(1) == 1:
        units = min(all_units, UNITS_AT_ONCE)
        return units, min(all_cells, VALUES_AT_ONCE // units)
    cells = min(all_cells, CELLS_AT_ONCE)
    return min(all_units, VALUES_AT_ONCE // cells), cells


@triton.jit(do_not_specialize=("image_stride",))
def summarize_block(
    maps: tl.tensor,  # (image, unit, cell), with strides
    floors: tl.tensor,  # (unit,)
    peaks: tl.tensor,  # (image, unit)
    lowest_values: tl.tensor,  # (image, unit)
    nonzero: tl.tensor,  # (unit,) int64
    not_below: tl.tensor,  # (unit,) int64
    unit_count: tl.tensor,
    cell_count: tl.tensor,
    image_stride: tl.tensor,
    unit_stride: tl.tensor,
    cell_stride: tl.tensor,
    UNITS: tl.constexpr,  # noqa: N803
    CELLS: tl.constexpr,  # noqa: N803
) -> None:
    """Summarize the maps of one image and some units."""
    image = tl.program_id(0).to(tl.int64)
    unit = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    is_unit = unit < unit_count
    floor = tl.load(floors + unit, is_unit, 0.0)
    unit_maps = maps + image * image_stride + unit.to(tl.int64) * unit_stride
    highest = tl.full((UNITS, CELLS), float("-inf"), maps.dtype.element_ty)
    lowest = tl.full((UNITS, CELLS), float("inf"), maps.dtype.element_ty)
    nonzero_count = tl.zeros((UNITS, CELLS), tl.int32)
    not_below_count = tl.zeros((UNITS, CELLS), tl.int32)
    for start in range(0, cell_count, CELLS):
        cell = start + tl.arange(0, CELLS)
        exists = is_unit[:, None] & (cell < cell_count)[None, :]
        cells = unit_maps[:, None] + (cell * cell_stride)[None, :]
        value = tl.load(cells, exists, float("-inf"))
        highest = tl.maximum(highest, value, propagate_nan=tl.PropagateNan.ALL)
        lowest = tl.minimum(
            lowest,
            tl.where(exists, value, float("inf")),
            propagate_nan=tl.PropagateNan.ALL,
        )
        nonzero_count += ((value != 0) & exists).to(tl.int32)
        not_below_count += ((value >= floor[:, None]) & exists).to(tl.int32)
    has_nan = tl.max((highest != highest).to(tl.int32), 1) > 0
    summary_place = image * unit_count + unit
    peak = tl.where(has_nan, float("nan"), tl.max(highest, 1))
    tl.store(peaks + summary_place, peak, is_unit)
    lowest_value = tl.where(has_nan, float("nan"), tl.min(lowest, 1))
    tl.store(lowest_values + summary_place, lowest_value, is_unit)
    nonzero_sum = tl.sum(nonzero_count, 1).to(tl.int64)
    tl.atomic_add(nonzero + unit, nonzero_sum, is_unit, sem="relaxed")
    not_below_sum = tl.sum(not_below_count, 1).to(tl.int64)
    tl.atomic_add(not_below + unit, not_below_sum, is_unit, sem="relaxed")
