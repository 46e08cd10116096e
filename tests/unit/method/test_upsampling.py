"""Upsampling against the slow twin and `torch.nn.functional.interpolate`."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from torch.nn import functional as F

from nd_plugin import Axis, Geometry
from nd_plugin.method.upsampling import upsample
from nd_plugin.receptive_fields.geometry import spread_evenly

GEOMETRIES = [
    (Axis(435, 32, 0), Axis(435, 32, 0)),  # ResNet-18's layer4
    (Axis(851, 32, 31), Axis(163, 16, 17)),
    (Axis(1, 1 / 3, -5.25), Axis(9, 7.5, 100)),  # cells beyond the edges
    (Axis(3, -4, 60), Axis(3, 4, 3)),  # flipped
]


@pytest.mark.parametrize("axes", GEOMETRIES)
@pytest.mark.parametrize("cells", [(7, 5), (1, 1), (2, 9)])
def test_equals_the_twin_to_the_last_bit(
    axes: tuple[Axis, Axis], cells: tuple[int, int]
) -> None:
    maps = torch.randn(2, *cells, generator=torch.Generator().manual_seed(0))
    rows, columns = axes
    twin_geometry = ((rows.stride, rows.offset), (columns.stride, columns.offset))
    upsampled = upsample(maps, Geometry(*axes), (64, 96), (31, 48)).numpy()
    for unit in range(2):
        twin = reference.upsample(
            maps[unit].numpy(), twin_geometry, (64, 96), (31, 48)
        )
        assert np.array_equal(upsampled[unit].view(np.int32), twin.view(np.int32))


def test_half_pixel_geometry_is_interpolate() -> None:
    maps = torch.randn(1, 3, 7, 7, dtype=torch.float64)
    upsampled = upsample(
        maps, spread_evenly((7, 7), (224, 224)), (224, 224), (112, 112)
    )
    interpolated = F.interpolate(maps, size=(112, 112), mode="bilinear")
    # our weights are rounded to multiples of 2**-20
    torch.testing.assert_close(upsampled, interpolated, atol=1e-5, rtol=0)


def test_anchoring_moves_the_map_by_half_a_stride() -> None:
    """ResNet-18's layer4: its cells are 15.5 pixels before the places of half-pixel resizing."""
    maps = torch.randn(1, 7, 7, dtype=torch.float64)
    anchored_axis = Axis(435, 32, 0)
    moved_axis = Axis(1, 32, 15)
    size = (224, 224)
    anchored = upsample(maps, Geometry(anchored_axis, anchored_axis), size, size)
    moved = upsample(maps, Geometry(moved_axis, moved_axis), size, size)
    assert torch.equal(anchored[:, :200, :200], moved[:, 15:215, 15:215])
    assert torch.equal(anchored[0, ::32, ::32], maps[0])


def test_it_never_leaves_the_range_of_a_map() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(200, 5, 5, generator=generator)
    maps = values * 10 ** torch.randn(200, 1, 1, generator=generator)
    geometry = Geometry(Axis(1, 13.7, 3.1), Axis(1, 9.3, -2.9))
    upsampled = upsample(maps, geometry, (64, 64), (57, 61))
    assert (upsampled.amax((1, 2)) <= maps.amax((1, 2))).all()
    assert (upsampled.amin((1, 2)) >= maps.amin((1, 2))).all()


def test_a_flat_map_stays_flat() -> None:
    flat = torch.full((1, 5, 5), 0.1)
    upsampled = upsample(flat, spread_evenly((5, 5), (64, 64)), (64, 64), (57, 61))
    assert torch.equal(upsampled.unique(), flat.unique())
