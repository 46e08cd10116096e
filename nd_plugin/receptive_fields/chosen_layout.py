"""Layout chosen by a user, who names the axes of a layer: ``layer@nhwc``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import torch

from nd_plugin.errors import UnitsNotFound
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.receptive_fields.layout import (
    MAPS,
    PREFIXES,
    TOKENS,
    Layout,
    MapLayout,
    TokenLayout,
)

AXES_SUFFIX = re.compile(rf"@({'|'.join((*MAPS, *TOKENS))})", re.IGNORECASE)
MAX_ELONGATION = 2  # of a cell of a token grid, in the longer direction


def split_axes(layer: str) -> tuple[str, str | None]:
    """Split ``layer@nhwc`` into the layer's name and its axes, in capitals; None: not named."""
    match = AXES_SUFFIX.search(layer)
    if match is None or match.end() != len(layer):
        return layer, None
    return layer[: match.start()], match[1].upper()


def chosen_layout(
    shape: torch.Size, axes: str, layer: str, image_size: Size
) -> Layout:
    """Return the layout of which a user has named the axes: NCHW, NHWC, NTC, TNC or NCT.

    Tokens are laid out on a grid of the image's proportions, after class and register tokens.
    Raises UnitsNotFound.
    """
    if len(axes) != len(shape):
        raise UnitsNotFound(
            f"layer {layer!r} returns a tensor of shape {tuple(shape)}, which {axes} does not fit"
        )
    if axes in MAPS:
        return MapLayout(MAPS[axes], None)
    layout_axes = TOKENS[axes]
    token_count = shape[layout_axes[1]]
    for prefix, grid in possible_grids(token_count, image_size):
        tokens = torch.arange(prefix, token_count, device="cpu")
        return TokenLayout(layout_axes, tokens, grid, None)
    raise UnitsNotFound(
        f"layer {layer!r} returns {token_count} tokens of shape {tuple(shape)}, which form no "
        f"grid of the image's proportions after {', '.join(map(str, sorted(PREFIXES)))} class "
        "and register tokens"
    )


def possible_grids(
    token_count: int, image_size: Size
) -> Iterator[tuple[int, Size]]:
    """Yield numbers of class and register tokens, and grids of about the image's proportions."""
    height, width = image_size
    for prefix in PREFIXES:
        count = token_count - prefix
        grids: list[tuple[float, Size]] = []
        for rows in range(2, count // 2 + 1):
            columns = count // rows
            elongation = rows * width / (columns * height)
            is_cell = 1 / MAX_ELONGATION <= elongation <= MAX_ELONGATION
            if rows * columns == count and is_cell:
                grids.append((abs(math.log(elongation)), (rows, columns)))
        for _, grid in sorted(grids):
            yield prefix, grid
