"""Pixel blocks: maps whose units look at neighbouring pixels, after a space-to-depth of any form.

A block of pixels may be moved into channels by strided slices (Focus layers), by SpaceToDepth, or
by Reshape and Transpose. Then the units of a cell look at different pixels of one block: the cell
looks at the centre of the block.
"""

from __future__ import annotations

from nd_onnxruntime.channels_last import to_channels_first, to_channels_last
from nd_plugin import Positions

UNIT_AXIS = 1


def centred(positions: Positions) -> Positions:
    """Return positions of maps (image, unit, row, column), all units of a cell at their centre.

    Other positions are returned as they are, also those of units that differ by as much as
    neighbouring cells do: these look at no common block.
    """
    if len(positions.shape) != 4 or positions.map() is not None:
        return positions
    cells = positions.mixed([UNIT_AXIS])
    geometry = None if cells is None else cells.map()
    if cells is None or geometry is None:
        return positions
    row_span = cells.size[0] - positions.size[0]
    column_span = cells.size[1] - positions.size[1]
    in_one_block = row_span < abs(geometry.rows.stride) and column_span < abs(
        geometry.columns.stride
    )
    return cells.spread(positions.shape) if in_one_block else positions


def centred_maps(positions: Positions) -> Positions:
    """Return `centred` positions of maps whose units are in axis 1, or else in the last axis."""
    if len(positions.shape) != 4:
        return positions
    by_axis_one = centred(positions)
    if by_axis_one.map() is not None:
        return by_axis_one
    return to_channels_last(centred(to_channels_first(positions)))


def summed_over_units(positions: Positions) -> Positions:
    """Return positions of maps whose units are summed, as by a convolution of one group."""
    if len(positions.shape) != 4 or positions.map() is not None:
        return positions
    cells = positions.mixed([UNIT_AXIS])
    return positions if cells is None else cells.spread(positions.shape)
