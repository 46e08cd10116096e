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

# Units that are tokens themselves. Few may be in the order of a grid by chance; many are not, not
# even loosely.
MIN_TOKENS = 9
MANY_TOKENS = 49
MIN_LINEARITY_OF_MANY = 0.3

SIMILAR = 0.05  # difference of linearities that does not matter


@dataclass(frozen=True)
class TokenGrid:
    """Grid of tokens: its axis, the number of tokens before it, rows and columns."""

    axis: int
    prefix: int
    grid: Size
    linearity: float  # the smaller one of rows and columns

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
    if scores[row_axis, column_axis] == 0:
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
    best = _most_complete(grids)
    (unit_axis,) = set(axes) - {best.axis}
    if has_token_grid(response, unit_axis, image_size):
        return None
    layout_axes = (response.image_axis, best.axis, unit_axis)
    return TokenLayout(layout_axes, best.tokens, best.grid, None)


def has_token_grid(response: Response, axis: int, image_size: Size) -> bool:
    """Return whether an axis holds tokens: in a matrix of attention, those of units do, too."""
    grids = _token_grids(response, axis, image_size, MIN_LINEARITY_OF_MANY)
    for tokens in grids:
        count = math.prod(tokens.grid)
        follows = tokens.linearity >= MIN_LINEARITY or count >= MANY_TOKENS
        if follows and count >= MIN_TOKENS:
            return True
    return False


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
        on_grid = tokens - prefix
        row_linearity = rows.linearity(on_grid // grid[1])
        column_linearity = columns.linearity(on_grid % grid[1])
        linearity = min(row_linearity, column_linearity)
        spread = min(rows.spread(), columns.spread())
        if linearity >= min_linearity and spread >= MIN_SPREAD:
            yield TokenGrid(axis, prefix, grid, linearity)
