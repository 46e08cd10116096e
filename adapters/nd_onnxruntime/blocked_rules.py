"""Rules for the reordering of maps into blocks of channels and back.

Positions of a blocked value are those of its cells, as if it were (image, unit, row, column); the
units that fill up the last block have them too.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from nd_onnxruntime.channels_last import to_channels_first, to_channels_last
from nd_onnxruntime.operation import Operation
from nd_plugin import Positions


def reordering_input(operation: Operation) -> Positions | None:
    """Follow a ReorderInput: from maps, channels-last if an attribute says so, to blocks."""
    source = operation.source
    if operation.attribute("channels_last", 0):
        source = to_channels_first(source)
    return source.through(source.map(), operation.shape)


def reordering_output(operation: Operation) -> Positions | None:
    """Follow a ReorderOutput: from blocks to maps, channels-last if an attribute says so."""
    source = operation.source
    if not operation.attribute("channels_last", 0):
        return source.through(source.map(), operation.shape)
    images, rows, columns, units = operation.shape
    shape = torch.Size((images, units, rows, columns))
    positions = source.through(source.map(), shape)
    return None if positions is None else to_channels_last(positions)


def reshaping(operation: Operation) -> Positions | None:
    """Follow a Reshape of blocked maps to (image, block, row, column, unit in block) or back."""
    source = operation.source
    if len(operation.shape) > len(source.shape):
        maps = source.through(source.map(), source.shape)
        if maps is None:
            return None
        coordinates = [coordinate[..., None] for coordinate in maps.coordinates]
    else:
        coordinates = [
            coordinate[:, :1, ..., 0] for coordinate in source.coordinates
        ]
    images, rows, columns = coordinates
    return replace(
        source, shape=operation.shape, images=images, rows=rows, columns=columns
    )
