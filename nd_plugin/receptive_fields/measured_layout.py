"""Layout measured: which axes of an output follow the rows and columns of the image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from nd_plugin.receptive_fields.chosen_layout import possible_grids
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.receptive_fields.layout import (
    FeatureLayout,
    Layout,
    MapLayout,
    TokenLayout,
)
from nd_plugin.receptive_fields.perturbation import (
    MIN_LINEARITY,
    AxisResponse,
    Response,
)

# The mean band varies along an axis by more than rounding and chance make it. Untrained and trained
# networks, attention too, are well above.
MIN_SPREAD = 0.002
# Along an axis of rows, the bands of columns vary by no more than this share; along one of tokens
# they vary alike.
MAX_CROSS_SHARE = 0.25

SIMILAR = 0.05  # difference of linearities that does not matter
# Of the spread along the axes that follow best: where others reach this share, a cell is one of two
# places (attention between tokens), and which axis holds units is not known.
MAX_SECOND_SHARE = 0.5
MANY_TOKENS = 49
LOOSE_LINEARITY = 0.3  # that chance does not give to so many units
MIN_CELLS = 12  # of a grid that units do not follow by chance


@dataclass(frozen=True)
class TokenGrid:
    """Grid of tokens: its axis, the number of tokens before it, rows and columns."""

    axis: int
    prefix: int
    grid: Size
    linearity: float  # the smaller one of rows and columns
    spread: float  # likewise

    @property
    def tokens(self) -> torch.Tensor:
        """Indices of the tokens on the grid, row by row."""
        count = math.prod(self.grid)
        return torch.arange(self.prefix, self.prefix + count, device="cpu")


def measured_layout(response: Response, image_size: Size) -> Layout | None:
    """Return the layout that a response shows; None where it shows none or several.

    ``image_size`` is (height, width) in pixels. No geometry is derived.
    """
    axes = sorted(response.rows)
    if len(axes) == 3:
        return _measured_maps(response, axes)
    if len(axes) == 2:
        return _measured_tokens(response, axes, image_size)
    return FeatureLayout() if len(axes) == 1 else None


def _measured_maps(response: Response, axes: Sequence[int]) -> MapLayout | None:
    scores: dict[tuple[int, int], float] = {}
    for row_axis in axes:
        for column_axis in axes:
            if row_axis != column_axis:
                pair = (row_axis, column_axis)
                scores[pair] = _score_of_axes(response, *pair)
    row_axis, column_axis = max(scores, key=lambda pair: scores[pair])
    best = scores.pop((row_axis, column_axis))
    if best == 0 or max(scores.values()) >= MAX_SECOND_SHARE * best:
        return None
    (unit_axis,) = set(axes) - {row_axis, column_axis}
    layout_axes = (response.image_axis, unit_axis, row_axis, column_axis)
    return MapLayout(layout_axes, None)


def _score_of_axes(response: Response, row_axis: int, column_axis: int) -> float:
    """Return how well two axes follow rows and columns, 0 where one of them does not."""
    row_spread = _following_spread(
        response.rows[row_axis], response.columns[row_axis]
    )
    column_spread = _following_spread(
        response.columns[column_axis], response.rows[column_axis]
    )
    return min(row_spread, column_spread)


def _following_spread(response: AxisResponse, crosswise: AxisResponse) -> float:
    """Return the spread of bands along an axis that follows them, and 0 where it does not.

    ``crosswise`` is the response of the same axis to bands of the other direction.
    """
    spread = response.spread()
    follows = (
        response.follows_bands(MIN_SPREAD)
        and crosswise.spread() <= MAX_CROSS_SHARE * spread
    )
    return spread if follows else 0.0


def _measured_tokens(
    response: Response, axes: Sequence[int], image_size: Size
) -> TokenLayout | None:
    grids: list[TokenGrid] = []
    for axis in axes:
        grids += _token_grids(response, axis, image_size)
    if not grids:
        return None
    grids = _on_leading_axis(grids)
    if not grids:
        return None
    best = _most_complete(grids)
    (unit_axis,) = set(axes) - {best.axis}
    if _are_many_tokens(response, best.axis, unit_axis, image_size):
        return None
    layout_axes = (response.image_axis, best.axis, unit_axis)
    return TokenLayout(layout_axes, best.tokens, best.grid, None)


def _on_leading_axis(grids: Sequence[TokenGrid]) -> list[TokenGrid]:
    """Return the grids on the axis that follows the image best; none where two axes do."""
    leading_axis = max(grids, key=lambda grid: grid.spread).axis
    largest_spread = max(grid.spread for grid in grids)
    for grid in grids:
        follows_as_well = grid.spread >= MAX_SECOND_SHARE * largest_spread
        is_chance = math.prod(grid.grid) < MIN_CELLS and not follows_as_well
        if grid.axis != leading_axis and not is_chance:
            return []
    return [grid for grid in grids if grid.axis == leading_axis]


def units_are_places(
    response: Response, layout: TokenLayout, image_size: Size
) -> bool:
    """Return whether units follow the image as tokens do: attention between tokens."""
    _, token_axis, unit_axis = layout.axes
    grids = [
        *_token_grids(response, token_axis, image_size),
        *_token_grids(response, unit_axis, image_size),
    ]
    axes = {grid.axis for grid in grids}
    if len(axes) == 2 and not _on_leading_axis(grids):
        return True
    return _are_many_tokens(response, token_axis, unit_axis, image_size)


def _are_many_tokens(
    response: Response, token_axis: int, unit_axis: int, image_size: Size
) -> bool:
    """Return whether units, as many as tokens, follow a large grid, if only loosely.

    Chance gives many units no such order; sharp attention blurs it.
    """
    if response.shape[token_axis] != response.shape[unit_axis]:
        return False
    grids = _token_grids(response, unit_axis, image_size, LOOSE_LINEARITY)
    return any(math.prod(tokens.grid) >= MANY_TOKENS for tokens in grids)


def _most_complete(grids: Sequence[TokenGrid]) -> TokenGrid:
    """Return the grid with the fewest tokens before it, of those that follow about equally well.

    Without its first row, a grid follows the image no less.
    """
    highest = max(grid.linearity for grid in grids)
    similar = [grid for grid in grids if grid.linearity >= highest - SIMILAR]
    return min(similar, key=lambda grid: (grid.prefix, -grid.linearity))


def _token_grids(
    response: Response,
    axis: int,
    image_size: Size,
    min_linearity: float = MIN_LINEARITY,
) -> Iterator[TokenGrid]:
    """Yield the grids, row by row along an axis, that rows and columns follow."""
    for prefix, grid in possible_grids(response.shape[axis], image_size):
        count = math.prod(grid)
        tokens = torch.arange(prefix, prefix + count, device="cpu")
        rows = response.rows[axis].select(tokens)
        columns = response.columns[axis].select(tokens)
        if _has_empty_line(rows, columns, grid):
            continue
        on_grid = tokens - prefix
        row_linearity = rows.linearity(on_grid // grid[1])
        column_linearity = columns.linearity(on_grid % grid[1])
        linearity = min(row_linearity, column_linearity)
        spread = min(rows.spread(), columns.spread())
        if linearity >= min_linearity and spread >= MIN_SPREAD:
            yield TokenGrid(axis, prefix, grid, linearity, spread)


def _has_empty_line(rows: AxisResponse, columns: AxisResponse, grid: Size) -> bool:
    """Return whether nothing changes in a row or a column of a grid, as in register tokens."""
    changes = rows.changes.sum(0) + columns.changes.sum(0)
    on_grid = changes.reshape(grid)
    return not bool(on_grid.any(0).all() and on_grid.any(1).all())
