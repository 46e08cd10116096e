"""Intersections and areas added up from the lit pixels of maps by a Triton kernel."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from nd_plugin.accelerator.intersections import ImageLabels, UnitSums
from nd_plugin.accelerator.kernels import device_of

COMBINATIONS_AT_ONCE = 128
LAUNCH_OPTIONS: dict[str, int | bool] = {
    "num_warps": 4,
    "num_stages": 1,
    "enable_fp_fusion": False,
}
UNSPECIALIZED = (
    "lit_pixels",
    "images",
    "units",
    "members",
    "has_category",
    "intersections",
    "areas",
    "combination_count",
    "label_count",
    "slot_count",
    "category_count",
)


def add_intersections(
    lit_pixels: Tensor,
    images: Tensor,
    units: Tensor,
    labels: ImageLabels,
    sums: UnitSums,
) -> None:
    """Add ``lit_pixels`` (map, combination) of ``images`` and ``units`` (map,) to ``sums``.

    Plain version, with the same arguments: `accelerator.intersections.add_intersections`.
    """
    map_count, combination_count = lit_pixels.shape
    label_count = labels.members.shape[2]
    category_count = labels.has_category.shape[1]
    if not map_count:
        return
    with device_of(lit_pixels):
        add_map[(map_count,)](
            lit_pixels.contiguous(),
            images.contiguous(),
            units.contiguous(),
            labels.members.contiguous(),
            labels.has_category.contiguous().view(torch.uint8),
            sums.intersections,
            sums.areas,
            combination_count,
            label_count,
            sums.intersections.shape[1],
            category_count,
            COMBINATIONS=COMBINATIONS_AT_ONCE,
            CATEGORIES=triton.next_power_of_2(category_count),
            **LAUNCH_OPTIONS,
        )


@triton.jit(do_not_specialize=UNSPECIALIZED)
def add_map(
    lit_pixels: tl.tensor,  # (map, combination) int32
    images: tl.tensor,  # (map,) int64
    units: tl.tensor,  # (map,) int64
    members: tl.tensor,  # (image, combination, label)
    has_category: tl.tensor,  # (image, category) uint8
    intersections: tl.tensor,  # (unit, slot) int64
    areas: tl.tensor,  # (unit, category) int64
    combination_count: tl.tensor,
    label_count: tl.tensor,
    slot_count: tl.tensor,
    category_count: tl.tensor,
    COMBINATIONS: tl.constexpr,  # noqa: N803
    CATEGORIES: tl.constexpr,  # noqa: N803
) -> None:
    """Add the lit pixels of one map."""
    map_index = tl.program_id(0).to(tl.int64)
    image = tl.load(images + map_index).to(tl.int64)
    unit = tl.load(units + map_index).to(tl.int64)
    map_pixels = lit_pixels + map_index * combination_count
    image_members = members + image * combination_count * label_count
    unit_intersections = intersections + unit * slot_count
    total = tl.zeros((COMBINATIONS,), tl.int64)
    for start in range(0, combination_count, COMBINATIONS):
        combination = start + tl.arange(0, COMBINATIONS)
        pixels = tl.load(
            map_pixels + combination, combination < combination_count, 0
        ).to(tl.int64)
        is_lit = pixels > 0
        total += pixels
        for label in range(0, label_count):
            slot = tl.load(
                image_members + combination * label_count + label, is_lit, 0
            ).to(tl.int64)
            tl.atomic_add(
                unit_intersections + slot,
                pixels,
                is_lit & (slot > 0),
                sem="relaxed",
            )
    category = tl.arange(0, CATEGORIES)
    is_category = category < category_count
    has = tl.load(has_category + image * category_count + category, is_category, 0)
    tl.atomic_add(
        areas + unit * category_count + category,
        tl.sum(total, 0),
        is_category & (has > 0),
        sem="relaxed",
    )
