"""Layouts derived from positions: any order of the axes, and no axis along which nothing moves."""

from __future__ import annotations

import pytest
import torch

from nd_plugin import Axis, Geometry, UnitsNotFound
from nd_plugin.receptive_fields.layout import MapLayout, TokenLayout, find_layout
from nd_plugin.receptive_fields.positions import Positions

IMAGES = torch.arange(2, dtype=torch.float64)
GEOMETRY = Geometry(Axis(95, 8, 0), Axis(95, 8, 4))
SHAPE = torch.Size((2, 64, 8, 28))


def positions_of_map(shape: torch.Size = SHAPE) -> Positions:
    return Positions.of_map(GEOMETRY, IMAGES, shape)


def permuted(positions: Positions, *order: int) -> Positions:
    shape = torch.Size(positions.shape[axis] for axis in order)
    return positions.moved(lambda coordinate: coordinate.permute(order), shape)


@pytest.mark.parametrize(
    ("order", "axes"),
    [
        ((0, 1, 2, 3), (0, 1, 2, 3)),
        ((0, 2, 3, 1), (0, 3, 1, 2)),
        ((0, 1, 3, 2), (0, 1, 3, 2)),
        ((2, 3, 0, 1), (2, 3, 0, 1)),
        ((3, 0, 1, 2), (1, 2, 3, 0)),  # W, N, C, H, before a recurrent layer
    ],
)
def test_axes_in_any_order_keep_the_geometry(
    order: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    positions = permuted(positions_of_map(), *order)
    layout = find_layout(positions.shape, positions, "x")
    assert isinstance(layout, MapLayout)
    assert layout.axes == axes
    assert layout.geometry == GEOMETRY


def heads_of_one_row() -> Positions:
    """Return the positions of (image, head, token, unit) over a map of a single row."""
    tokens = permuted(positions_of_map(torch.Size((2, 120, 1, 28))), 0, 2, 3, 1)
    with_heads = torch.Size((2, 28, 8, 15))
    divided = tokens.moved(
        lambda coordinate: coordinate.reshape(with_heads), with_heads
    )
    return permuted(divided, 0, 2, 1, 3)


def test_heads_over_a_single_row_are_no_rows() -> None:
    positions = heads_of_one_row()
    assert positions.shape == (2, 8, 28, 15)
    with pytest.raises(UnitsNotFound, match="heads"):
        find_layout(positions.shape, positions, "x")


def test_a_row_that_is_repeated_makes_no_rows() -> None:
    row = positions_of_map(torch.Size((2, 64, 1, 28)))
    repeated = row.spread(SHAPE)
    written_out = Positions(
        SHAPE,
        repeated.images.expand(SHAPE).clone(),
        repeated.rows.expand(SHAPE).clone(),
        repeated.columns.expand(SHAPE).clone(),
        repeated.size,
        repeated.stride,
    )
    for positions in (repeated, written_out):
        with pytest.raises(UnitsNotFound):
            find_layout(SHAPE, positions, "x")


def test_maps_and_tokens_of_a_single_row_are_taken() -> None:
    row = positions_of_map(torch.Size((2, 64, 1, 28)))
    layout = find_layout(row.shape, row, "x")
    assert isinstance(layout, MapLayout)
    assert layout.axes == (0, 1, 2, 3)
    tokens = permuted(row, 0, 2, 3, 1).squeezed((1,))
    token_layout = find_layout(tokens.shape, tokens, "x")
    assert isinstance(token_layout, TokenLayout)
    assert token_layout.grid == (1, 28)
