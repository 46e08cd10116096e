"""Layouts of a layer's output: axes of images, units, rows and columns, or tokens of the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from nd_plugin.errors import UnitsNotFound
from nd_plugin.receptive_fields.geometry import Axis, Geometry, Size, spread_evenly
from nd_plugin.receptive_fields.positions import Positions, axis_of, line

# axes of images, units, rows, columns
MAPS = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 3, 1, 2)}
# the usual ones first; recognisers have W, N, C, H before a recurrent layer
DERIVABLE_MAPS = (*MAPS.values(), *permutations(range(4), 4))
# axes of images, tokens, units
TOKENS = {"NTC": (0, 1, 2), "TNC": (1, 0, 2), "NCT": (0, 2, 1)}
AXES_OF_RANK = {4: tuple(MAPS), 3: tuple(TOKENS)}
# class and register tokens of common vision transformers
PREFIXES = (0, 1, 5, 2, 4, 8)


class LayoutNotFound(UnitsNotFound):
    """Output without units, rows and columns.

    ``reason`` is the message without the layer's name and shape, for lists of layers.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class AxesUnknown(LayoutNotFound):
    """Axes of units, rows and columns that cannot be derived, but perhaps measured."""


@dataclass(frozen=True)
class MapLayout:
    """Layout of maps."""

    axes: tuple[int, int, int, int]  # of images, units, rows, columns
    geometry: Geometry | None

    def maps(self, output: Tensor) -> Tensor:
        """Return ``output`` as maps (image, unit, row, column)."""
        return output.permute(self.axes)


@dataclass(frozen=True)
class TokenLayout:
    """Layout of tokens, some of which form a grid."""

    axes: tuple[int, int, int]  # of images, tokens, units
    tokens: Tensor  # (rows * columns,), indices of the grid's tokens, row by row
    grid: Size
    geometry: Geometry | None

    def maps(self, output: Tensor) -> Tensor:
        """Return the grid's tokens as maps (image, unit, row, column)."""
        tokens = output.permute(self.axes).index_select(
            1, self.tokens.to(output.device)
        )
        return tokens.transpose(1, 2).reshape(len(tokens), -1, *self.grid)


@dataclass(frozen=True)
class FeatureLayout:
    """Layout of features (image, unit): maps of one cell."""

    geometry: Geometry | None = None

    def maps(self, output: Tensor) -> Tensor:
        """Return ``output`` as maps (image, unit, 1, 1)."""
        return output[:, :, None, None]


Layout = MapLayout | TokenLayout | FeatureLayout


def find_layout(
    shape: torch.Size, positions: Positions | None, layer: str
) -> Layout:
    """Derive the layout of an output of that shape, from its elements' positions.

    ``layer`` names the layer in errors. Raises AxesUnknown where the axes cannot be derived, and
    UnitsNotFound for tensors of other than 2 to 4 axes.
    """
    layout = _find_single_cell(shape)
    if layout is not None:
        return layout
    if len(shape) not in (3, 4):
        raise UnitsNotFound(
            f"layer {layer!r} returns a tensor of shape {tuple(shape)}: units are found in maps "
            "(N, C, h, w), tokens (N, T, C) and features (N, C); choose a neighbouring layer"
        )
    if positions is None:
        raise _axes_unknown(shape, layer)
    if len(shape) == 4:
        return _find_maps(shape, positions, layer)
    return _find_tokens(positions, layer)


def _find_single_cell(shape: torch.Size) -> Layout | None:
    """Return the layout of features, or of maps of one cell; None for other shapes."""
    if len(shape) == 2:
        return FeatureLayout()
    if len(shape) != 4:
        return None
    for axes in MAPS.values():
        _, _, row_axis, column_axis = axes
        if shape[row_axis] == shape[column_axis] == 1:
            return MapLayout(axes, None)
    return None


def _find_maps(shape: torch.Size, positions: Positions, layer: str) -> Layout:
    for axes in DERIVABLE_MAPS:
        image_axis, _, row_axis, column_axis = axes
        images = line(positions.images, image_axis)
        # in another order, a single image does not say which axis is that of images
        if axes not in MAPS.values() and shape[image_axis] != _length(images):
            continue
        row_centres = positions.places(positions.rows, row_axis)
        column_centres = positions.places(positions.columns, column_axis)
        if row_centres is None or column_centres is None:
            continue
        if _keeps_image_order(images):
            return MapLayout(
                axes, _geometry(positions, row_centres, column_centres)
            )
    raise _mixed_output(shape, layer)


def _length(values: Tensor | None) -> int:
    return 0 if values is None else len(values)


def _find_tokens(positions: Positions, layer: str) -> Layout:
    for axes in TOKENS.values():
        image_axis, token_axis, _ = axes
        row_of_token = _first_along(
            positions.rows.expand(positions.shape), token_axis
        )
        tokens = (~row_of_token.isnan()).nonzero()[:, 0]
        if not len(tokens):
            continue
        images, rows, columns = (
            coordinate.expand(positions.shape).index_select(token_axis, tokens)
            for coordinate in positions.coordinates
        )
        row_centres = line(rows, token_axis)
        column_centres = line(columns, token_axis)
        if row_centres is None or column_centres is None:
            continue
        if _keeps_image_order(line(images, image_axis)):
            return _arrange_grid(
                axes, tokens, row_centres, column_centres, positions, layer
            )
    raise _mixed_output(positions.shape, layer)


def _keeps_image_order(images: Tensor | None) -> bool:
    """Return whether images, by index, come out in the order in which they went in."""
    return images is not None and images.tolist() == [
        float(image) for image in range(len(images))
    ]


def _first_along(coordinate: Tensor, dim: int) -> Tensor:
    """Return the coordinate of the first element at each index of ``dim``."""
    return coordinate.movedim(dim, 0).flatten(1)[:, 0]


def _arrange_grid(
    axes: tuple[int, int, int],
    tokens: Tensor,
    row_centres: Tensor,
    column_centres: Tensor,
    positions: Positions,
    layer: str,
) -> TokenLayout:
    """Arrange ``tokens`` (token,) in a grid by their centres.

    Raises AxesUnknown if they do not fill one.
    """
    rows, row_of = torch.unique(
        row_centres.expand(len(tokens)), return_inverse=True
    )
    columns, column_of = torch.unique(
        column_centres.expand(len(tokens)), return_inverse=True
    )
    cell_of = row_of * len(columns) + column_of
    all_cells = torch.arange(len(rows) * len(columns), device="cpu")
    if not torch.equal(cell_of.sort().values, all_cells):
        raise _axes_unknown(positions.shape, layer)
    geometry = _geometry(positions, rows, columns)
    return TokenLayout(
        axes, tokens[cell_of.argsort()], (len(rows), len(columns)), geometry
    )


def _geometry(
    positions: Positions, row_centres: Tensor, column_centres: Tensor
) -> Geometry | None:
    """Return the geometry of cells with these centres, if they are regular."""
    rows = axis_of(row_centres, positions.size[0], positions.stride[0])
    columns = axis_of(column_centres, positions.size[1], positions.stride[1])
    return Geometry(rows, columns) if rows and columns else None


def _axes_unknown(shape: Sequence[int], layer: str) -> AxesUnknown:
    choices = AXES_OF_RANK[len(shape)]
    names = " or ".join(choices)
    reason = (
        "no rule leads from the image there, and no two axes, or tokens, follow its rows and "
        "columns"
    )
    message = (
        f"layer {layer!r} returns a tensor of shape {tuple(shape)}, and its axes are unknown: "
        f"{reason}; if you know that they are {names}, say so ({layer}@{choices[-1].lower()}), "
        "else choose a neighbouring layer"
    )
    advice = " or ".join(f"NAME@{axes.lower()}" for axes in choices)
    return AxesUnknown(message, f"{reason} ({advice} names its axes)")


def _mixed_output(shape: Sequence[int], layer: str) -> AxesUnknown:
    reason = "images and positions share an axis or are mixed (windows, heads)"
    message = (
        f"layer {layer!r} returns a tensor of shape {tuple(shape)} in which {reason}; choose a "
        "neighbouring layer"
    )
    return AxesUnknown(message, reason)


def whole_image(size: Size) -> Geometry:
    """Return the geometry of a single cell that sees the whole image."""
    height, width = size
    return Geometry(
        Axis(height, height, (height - 1) / 2),
        Axis(width, width, (width - 1) / 2),
    )


def geometry_of(layout: Layout, shape: torch.Size, images: Size) -> Geometry:
    """Return the geometry of a layer whose output has that shape, for images of a size.

    Without a geometry in the layout, a single cell sees the whole image, and several are spread
    evenly.
    """
    if layout.geometry is not None:
        return layout.geometry
    if isinstance(layout, FeatureLayout):
        return whole_image(images)
    rows, columns = layout.maps(torch.empty(shape, device="meta")).shape[2:]
    if rows * columns == 1:
        return whole_image(images)
    return spread_evenly((rows, columns), images)


def axes_of(layout: Layout) -> tuple[int, int]:
    """Return the axes of images and of units in a layer's own output."""
    if isinstance(layout, MapLayout):
        image_axis, unit_axis, _, _ = layout.axes
        return image_axis, unit_axis
    if isinstance(layout, TokenLayout):
        image_axis, _, unit_axis = layout.axes
        return image_axis, unit_axis
    return 0, 1


def from_maps(layout: Layout, maps: Tensor, shape: Sequence[int]) -> Tensor:
    """Return maps (image, unit, row, column) in a layer's own shape.

    Elements that belong to no cell (a class token) are 0.
    """
    element_numbers = torch.arange(math.prod(shape), device=maps.device).view(
        *shape
    )
    flat_output = torch.zeros(
        element_numbers.numel(), dtype=maps.dtype, device=maps.device
    )
    flat_output[layout.maps(element_numbers)] = maps
    return flat_output.view(*shape)
