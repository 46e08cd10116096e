"""How a layer's output is laid out: which axes are images, units, rows and columns, or which tokens form the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor

from nd_plugin.errors import UnitsNotFound
from nd_plugin.receptive_fields.geometry import Axis, Geometry, spread_evenly
from nd_plugin.receptive_fields.positions import Positions, axis_of, line

Size = tuple[int, int]


MAPS = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 3, 1, 2)}  # where images, units, rows and columns are


TOKENS = {
    "NTC": (0, 1, 2),
    "TNC": (1, 0, 2),
    "NCT": (0, 2, 1),
}  # where images, tokens and units are


PREFIXES = (0, 1, 5, 2, 4, 8)  # class and register tokens of the usual vision transformers


@dataclass(frozen=True)
class MapLayout:
    """A map: its axes in the order image, unit, row, column."""

    axes: tuple[int, int, int, int]
    geometry: Geometry | None

    def maps(self, output: Tensor) -> Tensor:
        """(image, unit, row, column)"""
        return output.permute(self.axes)


@dataclass(frozen=True)
class TokenLayout:
    """Tokens: their axes in the order image, token, unit, and which tokens form the grid, row by row."""

    axes: tuple[int, int, int]
    tokens: Tensor  # (rows * columns,)
    grid: Size
    geometry: Geometry | None

    def maps(self, output: Tensor) -> Tensor:
        """(image, unit, row, column)"""
        tokens = output.permute(self.axes).index_select(1, self.tokens.to(output.device))
        return tokens.transpose(1, 2).reshape(len(tokens), -1, *self.grid)


@dataclass(frozen=True)
class FeatureLayout:
    """Features (image, unit): maps of one cell."""

    geometry: Geometry | None = None

    def maps(self, output: Tensor) -> Tensor:
        """(image, unit, 1, 1)"""
        return output[:, :, None, None]


Layout = MapLayout | TokenLayout | FeatureLayout


def find_layout(shape: torch.Size, positions: Positions | None, layer: str) -> Layout:
    """The layout of an output of that shape, from the positions of its elements where they are known."""
    if len(shape) == 4:
        return _maps(shape, positions, layer)
    if len(shape) == 3:
        return _tokens(positions, layer) if positions else _token_guess(shape, layer)
    if len(shape) == 2:
        return FeatureLayout()
    raise UnitsNotFound(
        f"layer {layer!r} gives a tensor of shape {tuple(shape)}: units are found in maps (N, C, h, w), "
        "tokens (N, T, C) and features (N, C); choose a layer around it"
    )


def _maps(shape: torch.Size, positions: Positions | None, layer: str) -> Layout:
    if positions is None:
        return MapLayout(MAPS["NCHW"], None)
    for axes in MAPS.values():
        image, _, row, column = axes
        lines = (
            line(positions.images, image),
            line(positions.rows, row),
            line(positions.columns, column),
        )
        if all(found is not None for found in lines[1:]) and _each_image_its_own(lines[0]):
            rows = axis_of(lines[1], positions.size[0], positions.stride[0])
            columns = axis_of(lines[2], positions.size[1], positions.stride[1])
            return MapLayout(axes, Geometry(rows, columns) if rows and columns else None)
    raise _scattered(shape, layer)


def _tokens(positions: Positions, layer: str) -> Layout:
    for axes in TOKENS.values():
        image, token, _ = axes
        known = ~_along(positions.rows.expand(positions.shape), token).isnan()
        tokens = known.nonzero()[:, 0]
        if not len(tokens):
            continue
        images, rows, columns = (
            c.expand(positions.shape).index_select(token, tokens) for c in positions.coordinates
        )
        heights, widths = line(rows, token), line(columns, token)
        if _each_image_its_own(line(images, image)) and heights is not None and widths is not None:
            return _grid(axes, tokens, heights, widths, positions, layer)
    raise _scattered(positions.shape, layer)


def _each_image_its_own(images: Tensor | None) -> bool:
    """Whether images come out in the order in which they went in."""
    return images is not None and images.tolist() == [float(image) for image in range(len(images))]


def _along(coordinate: Tensor, dim: int) -> Tensor:
    return coordinate.movedim(dim, 0).flatten(1)[:, 0]


def _grid(
    axes: tuple[int, int, int],
    known: Tensor,
    rows: Tensor,
    columns: Tensor,
    positions: Positions,
    layer: str,
) -> TokenLayout:
    heights, row_of = torch.unique(rows.expand(len(known)), return_inverse=True)
    widths, column_of = torch.unique(columns.expand(len(known)), return_inverse=True)
    place = row_of * len(widths) + column_of
    if not torch.equal(place.sort().values, torch.arange(len(heights) * len(widths), device="cpu")):
        return _token_guess(torch.Size(positions.shape[axis] for axis in axes), layer, axes)
    row_axis = axis_of(heights, positions.size[0], positions.stride[0])
    column_axis = axis_of(widths, positions.size[1], positions.stride[1])
    geometry = Geometry(row_axis, column_axis) if row_axis and column_axis else None
    return TokenLayout(axes, known[place.argsort()], (len(heights), len(widths)), geometry)


def _token_guess(
    shape: torch.Size, layer: str, axes: tuple[int, int, int] = TOKENS["NTC"]
) -> TokenLayout:
    """Without positions: a square grid behind the usual numbers of class and register tokens."""
    count = shape[1]
    for prefix in PREFIXES:
        side = isqrt(max(count - prefix, 0))
        if side > 1 and side * side == count - prefix:
            return TokenLayout(axes, torch.arange(prefix, count, device="cpu"), (side, side), None)
    raise UnitsNotFound(
        f"layer {layer!r} gives {count} tokens of shape {tuple(shape)}, which form no square grid behind "
        f"{', '.join(map(str, sorted(PREFIXES)))} class and register tokens"
    )


def _scattered(shape: Sequence[int], layer: str) -> UnitsNotFound:
    return UnitsNotFound(
        f"layer {layer!r} gives a tensor of shape {tuple(shape)} in which images and places share an axis or are mixed "
        "(windows, heads); choose a layer around it"
    )


def whole_image(size: Size) -> Geometry:
    """The geometry of a single cell that sees everything."""
    return Geometry(
        Axis(size[0], size[0], (size[0] - 1) / 2),
        Axis(size[1], size[1], (size[1] - 1) / 2),
    )


def geometry_of(layout: Layout, shape: torch.Size, images: Size) -> Geometry:
    """The layout's own geometry; a single cell sees the whole image; else the cells are spread evenly."""
    if layout.geometry is not None:
        return layout.geometry
    if isinstance(layout, FeatureLayout):
        return whole_image(images)
    cells = layout.maps(torch.empty(shape, device="meta")).shape[2:]
    return (
        whole_image(images) if cells.numel() == 1 else spread_evenly((cells[0], cells[1]), images)
    )


def axes_of(layout: Layout) -> tuple[int, int]:
    """The axes of images and of units in a layer's own output."""
    axes: tuple[int, ...] = getattr(layout, "axes", (0, 1))  # features have no others
    return axes[0], axes[2] if len(axes) == 3 else axes[1]


def from_maps(layout: Layout, maps: Tensor, shape: Sequence[int]) -> Tensor:
    """Maps (image, unit, row, column) back in a layer's own shape; what is no cell (a class token) is 0."""
    import torch

    numbers = torch.arange(math.prod(shape), device=maps.device).view(*shape)
    flat = torch.zeros(numbers.numel(), dtype=maps.dtype, device=maps.device)
    flat[layout.maps(numbers)] = maps
    return flat.view(*shape)
