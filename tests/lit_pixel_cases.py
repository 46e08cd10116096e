"""Arguments of `count_lit_pixels`, and what a plain loop over the maps counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin import Axis, Geometry
from nd_plugin.method.upsampling import MaskGrid, upsample
from nd_plugin.receptive_fields.geometry import Size, spread_evenly

INPUT_SIZE = (64, 96)
GEOMETRIES = {
    "ResNet-18's layer4": Geometry(Axis(435, 32, 0), Axis(435, 32, 0)),
    "fine, begun before the edge": Geometry(Axis(1, 1 / 3, -5.25), Axis(9, 7.5, 4)),
    "flipped": Geometry(Axis(3, -4, 60), Axis(3, -3.7, 81.3)),
    "far behind": Geometry(Axis(1, 4, 1e9), Axis(1, 4, -1e9)),
}


@dataclass(frozen=True)
class LitPixelCase:
    """Arguments of `count_lit_pixels`."""

    maps: Tensor
    thresholds: Tensor
    images: Tensor
    grid: MaskGrid
    combinations: Tensor
    combination_count: int

    @property
    def arguments(self) -> tuple[Tensor, Tensor, Tensor, MaskGrid, Tensor, int]:
        return (
            self.maps,
            self.thresholds,
            self.images,
            self.grid,
            self.combinations,
            self.combination_count,
        )

    def expected(self) -> Tensor:
        """Count map by map, (map, combination)."""
        grid = self.grid
        counts = []
        for index, image in enumerate(self.images.tolist()):
            upsampled = upsample(
                self.maps[index], grid.geometry, grid.image, grid.mask
            )
            is_lit = upsampled > self.thresholds[index]
            lit_combinations = self.combinations[image][is_lit]
            counts.append(
                torch.bincount(
                    lit_combinations.long(), minlength=self.combination_count
                )
            )
        return torch.stack(counts)


def draw_case(
    cells: Size,
    mask: Size,
    *,
    geometry: Geometry | None = None,
    input_size: Size = INPUT_SIZE,
    dtype: torch.dtype = torch.float32,
    combinations: int = 7,
    combinations_dtype: torch.dtype = torch.uint8,
    maps: int = 3,
    images: int = 3,
    dark_share: float = 0.3,
    seed: int = 0,
) -> LitPixelCase:
    """Draw maps with ``dark_share`` of the cells -infinity; each threshold equals a pixel."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(maps, *cells, generator=generator, dtype=torch.float64)
    is_dark = torch.rand(values.shape, generator=generator) < dark_share
    values = values.masked_fill(is_dark, -torch.inf).to(dtype)
    geometry = geometry or spread_evenly(cells, input_size)
    upsampled = upsample(values, geometry, input_size, mask).flatten(1)
    pixels = torch.randint(upsampled.shape[1], (maps, 1), generator=generator)
    return LitPixelCase(
        values,
        upsampled.gather(1, pixels)[:, 0],
        torch.randint(images, (maps,), generator=generator),
        MaskGrid(geometry, input_size, mask),
        torch.randint(combinations, (images, *mask), generator=generator).to(
            combinations_dtype
        ),
        combinations,
    )


def special_cases() -> dict[str, LitPixelCase]:
    """Return cases that are easily got wrong."""
    even = draw_case((3, 4), (17, 30), dark_share=0.0)
    dark = draw_case((7, 5), (17, 30), dark_share=0.7)
    zeros = torch.tensor([0.0, -0.0]).repeat(18).view(3, 3, 4)
    return {
        "one cell": draw_case((1, 1), (5, 9), dark_share=0.0),
        "one cell, dark": draw_case((1, 1), (5, 9), dark_share=1.0),
        "one row": draw_case((1, 9), (20, 33)),
        "one image": draw_case((5, 3), (20, 33), images=1, maps=1),
        "one combination": draw_case((5, 3), (20, 33), combinations=1),
        "masks smaller than maps": draw_case((40, 45), (9, 12)),
        "one pixel": draw_case((5, 3), (1, 1), dark_share=0.0),
        "wider than a block": draw_case((3, 30), (18, 150)),
        "more cells than are looked at": draw_case((70, 90), (20, 70)),
        "many combinations": draw_case(
            (5, 3), (20, 33), combinations=500, combinations_dtype=torch.int16
        ),
        "wide labels": draw_case(
            (5, 3), (20, 33), combinations=70, combinations_dtype=torch.int32
        ),
        "float64": draw_case((5, 3), (20, 33), dtype=torch.float64),
        "all lit": LitPixelCase(
            even.maps,
            torch.full_like(even.thresholds, -100),
            *even.arguments[2:],
        ),
        "zeros of both signs": LitPixelCase(
            zeros, torch.tensor([0.0, -0.0, -1.0]), *even.arguments[2:]
        ),
        "threshold -infinity": LitPixelCase(
            dark.maps,
            torch.full_like(dark.thresholds, -torch.inf),
            *dark.arguments[2:],
        ),
        "the lowest threshold": LitPixelCase(
            dark.maps,
            torch.full_like(dark.thresholds, torch.finfo(torch.float32).min),
            *dark.arguments[2:],
        ),
        "not a number": LitPixelCase(
            dark.maps.masked_fill(dark.maps > 0.5, torch.nan),
            torch.full_like(dark.thresholds, -0.5),
            *dark.arguments[2:],
        ),
    }
