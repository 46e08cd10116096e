"""Centres measured: the cells that look at the edges between bands of the image.

Of a cell that looks exactly at the edge of two bands, a perturbation of either band makes the same
change, however wide its receptive field is. Where along an axis this is so is found between cells,
for each edge; edges and cells then give stride and offset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from nd_plugin.receptive_fields.geometry import Axis, Geometry, Size
from nd_plugin.receptive_fields.layout import Layout, MapLayout, TokenLayout
from nd_plugin.receptive_fields.perturbation import (
    AxisResponse,
    PerturbedImages,
    Response,
)

MIN_EDGES = 2  # that have to be found along an axis of several cells
NEGLIGIBLE = 1e-6  # of the largest change
# of the largest change beside an edge: cells below tell nothing of it
UNCHANGED = 1e-4
# Of the bands along an axis. Below, cells hardly tell places apart: in deep layers with random
# weights, what is measured is then noise.
MIN_SPREAD = 0.3
# Kernels with more weight on one side move what cells see, by chance: the less, the more units
# there are. What they see widens as the root of the receptive field's size (Luo et al. 2016,
# Understanding the Effective Receptive Field in Deep Convolutional Neural Networks). Of random
# networks, 1 % of the layers are beyond this multiple.
CHANCE = 2.0
MANY_UNITS = 128  # of which random weights look to no side together
# measured offsets are multiples of this fraction of a cell, and of half a pixel at most
OFFSET_STEPS = 8
MAX_OFFSET_STEP = 0.5
MIN_DISTINCTION = 0.9  # cells between the ends of two grids that are told apart
MAX_SPAN = 1.1  # of the outermost centres, in images; padding may lie outside


@dataclass(frozen=True)
class Edge:
    """Edge of two bands: its pixel, and the cell that looks at it, between whole cells."""

    pixel: float
    cell: float


@dataclass(frozen=True)
class GridResponse:
    """Response of a layer along the rows and the columns of its grid."""

    rows: AxisResponse
    columns: AxisResponse

    @classmethod
    def of_layout(cls, response: Response, layout: Layout) -> GridResponse | None:
        """Return the response along a layout's grid; None for features, which have none."""
        if isinstance(layout, MapLayout):
            _, _, row_axis, column_axis = layout.axes
            return cls(response.rows[row_axis], response.columns[column_axis])
        if isinstance(layout, TokenLayout):
            _, token_axis, _ = layout.axes
            rows = response.rows[token_axis].select(layout.tokens)
            columns = response.columns[token_axis].select(layout.tokens)
            return cls(rows.summed(layout.grid, 1), columns.summed(layout.grid, 0))
        return None


@dataclass(frozen=True)
class Deviation:
    """Distance of measured from derived centres, in cells; None: not measurable."""

    rows: float | None
    columns: float | None

    @property
    def largest(self) -> float:
        """Larger absolute distance, 0 where none could be measured."""
        known = [side for side in (self.rows, self.columns) if side is not None]
        return max(map(abs, known), default=0.0)

    def beyond_chance(self, geometry: Geometry, units: int) -> Deviation:
        """Return the distances that are larger than random weights make them, else 0."""
        return Deviation(
            _beyond_chance(self.rows, geometry.rows, units),
            _beyond_chance(self.columns, geometry.columns, units),
        )


def _beyond_chance(distance: float | None, axis: Axis, units: int) -> float | None:
    if distance is None or units >= MANY_UNITS:
        return distance
    by_chance = CHANCE * math.sqrt(axis.size / abs(axis.stride) / units)
    return distance if abs(distance) > by_chance else 0.0


def measure_deviation(
    grid: GridResponse, images: PerturbedImages, geometry: Geometry
) -> Deviation:
    """Compare measured centres with those of a geometry."""
    row_edges = find_edges(grid.rows, images.row_edges)
    column_edges = find_edges(grid.columns, images.column_edges)
    return Deviation(
        _deviation_along(row_edges, geometry.rows),
        _deviation_along(column_edges, geometry.columns),
    )


def _deviation_along(edges: Sequence[Edge], axis: Axis) -> float | None:
    """Return the median distance of edges from where the axis has them, in cells.

    Distances below a pixel count as none: that far random weights may look to one side.
    """
    if len(edges) < MIN_EDGES:
        return None
    distances = []
    for edge in edges:
        derived_cell = (edge.pixel - axis.offset) / axis.stride
        distances.append(edge.cell - derived_cell)
    distance = median(distances)
    return distance if abs(distance * axis.stride) >= 1 else 0.0


def measured_geometry(
    grid: GridResponse, images: PerturbedImages, image_size: Size
) -> Geometry | None:
    """Return the geometry that a response shows, in round numbers; None where it shows none."""
    height, width = image_size
    rows = _measured_axis(grid.rows, images.row_edges, height)
    columns = _measured_axis(grid.columns, images.column_edges, width)
    if rows is None or columns is None:
        return None
    return Geometry(rows, columns, measured=True)


def _measured_axis(
    response: AxisResponse, pixel_edges: Sequence[int], pixels: int
) -> Axis | None:
    """Return the axis on which cells lie.

    Measured numbers differ in the last digits between processors. The stride is therefore rounded,
    to the even one or a whole number of pixels where it is close, and the offset to a fraction of
    a cell.
    """
    cells = response.changes.shape[1]
    if cells == 1:
        return Axis(pixels, pixels, (pixels - 1) / 2)
    edges = find_edges(response, pixel_edges)
    if len(edges) < MIN_EDGES:
        return None
    measured_stride = _theil_sen_slope(edges)
    if not measured_stride:
        return None
    stride = _round_stride(abs(measured_stride), pixels / cells, cells)
    if _spans_too_much(stride, cells, pixels):
        return None
    stride = math.copysign(stride, measured_stride)
    offset = median(edge.pixel - stride * edge.cell for edge in edges)
    step = min(abs(stride) / OFFSET_STEPS, MAX_OFFSET_STEP)
    return Axis(pixels, stride, round(offset / step) * step)


def _theil_sen_slope(edges: Sequence[Edge]) -> float:
    """Return the median slope of pixels over cells, of all pairs of edges; 0 for no pair."""
    slopes = []
    for index, first in enumerate(edges):
        for second in edges[index + 1 :]:
            if second.cell != first.cell:
                slope = (second.pixel - first.pixel) / (second.cell - first.cell)
                slopes.append(slope)
    return median(slopes) if slopes else 0.0


def _round_stride(measured: float, even: float, cells: int) -> float:
    """Round a stride to the even one or a whole one close to it, else to 1/8.

    Close is within 10 %; to the even one, which is likely, also where it moves no cell by more than
    half a cell. A whole one is taken if it is nearer and can be told from the even one.
    """
    whole = float(max(round(measured), 1))
    whole_is_distinct = abs(whole - even) * (cells - 1) >= MIN_DISTINCTION * even
    whole_is_nearer = abs(whole - measured) < abs(even - measured)
    if whole_is_nearer and whole_is_distinct:
        nearest, tolerance = whole, 0.1
    else:
        nearest, tolerance = even, max(0.1, 1 / (cells - 1))
    if abs(nearest - measured) <= tolerance * nearest:
        return nearest
    return round(measured * 8) / 8


def _spans_too_much(stride: float, cells: int, pixels: int) -> bool:
    """Return whether cells at that stride would not lie within the image."""
    return (cells - 1) * abs(stride) > MAX_SPAN * pixels


def find_edges(response: AxisResponse, pixel_edges: Sequence[int]) -> list[Edge]:
    """Find the cell that looks at each edge between bands, where there is one.

    Of the bands on both sides of an edge, equally many are compared.
    """
    if not response.follows_bands(MIN_SPREAD):
        return []
    is_reversed = response.is_reversed()
    changes = response.changes.flip(1) if is_reversed else response.changes
    bands, cells = changes.shape
    edges: list[Edge] = []
    for band in range(1, bands):
        count = min(band, bands - band)
        change_before = changes[band - count : band].sum(0)
        change_after = changes[band : band + count].sum(0)
        cell = _crossing(change_before, change_after)
        if cell is not None:
            cell = cells - 1 - cell if is_reversed else cell
            edges.append(Edge(pixel_edges[band] - 0.5, cell))
    return edges


def _crossing(before: torch.Tensor, after: torch.Tensor) -> float | None:
    """Return where two changes (cell,) of falling ratio are equal; None where they never are.

    Cells that neither changes tell nothing: those in front of the cells that change count as
    changed by the band before the edge alone, those behind as changed by the one after it.
    """
    change = before + after
    largest = change.max()
    if not largest > 0:
        return None
    floor = NEGLIGIBLE * largest
    ratio = torch.log((before + floor) / (after + floor))
    cells = torch.arange(len(change), device="cpu")
    is_unchanged = change <= UNCHANGED * largest
    beyond = torch.where(cells < change.argmax(), 1.0, -1.0) * -math.log(NEGLIGIBLE)
    ratio = torch.where(is_unchanged, beyond.to(ratio), ratio)
    crossings = ((ratio[:-1] > 0) & (ratio[1:] <= 0)).nonzero()[:, 0]
    if not len(crossings):
        return None
    at_crossings = change[crossings] + change[crossings + 1]
    cell = int(crossings[at_crossings.argmax()])
    fraction = ratio[cell] / (ratio[cell] - ratio[cell + 1])
    return cell + float(fraction)
