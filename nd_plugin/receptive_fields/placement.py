"""Placement of a layer's cells over the image: derived, measured, chosen, or spread evenly."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nd_plugin.receptive_fields.chosen_layout import chosen_layout
from nd_plugin.receptive_fields.geometry import Geometry, Size
from nd_plugin.receptive_fields.layout import (
    AxesUnknown,
    FeatureLayout,
    Layout,
    axes_of,
    find_layout,
    geometry_of,
)
from nd_plugin.receptive_fields.measured_centres import (
    GridResponse,
    measure_deviation,
    measured_geometry,
)
from nd_plugin.receptive_fields.measured_layout import measured_layout
from nd_plugin.receptive_fields.perturbation import PerturbedImages, Response
from nd_plugin.receptive_fields.positions import Positions

MAX_DEVIATION = 0.5  # of measured from derived centres, in cells


@dataclass(frozen=True)
class Measurement:
    """Response of a layer to perturbed images."""

    response: Response
    images: PerturbedImages


@dataclass(frozen=True)
class Placement:
    """Layout of a layer's output, geometry of its cells, and how they were found, for reports."""

    layout: Layout
    geometry: Geometry
    notes: tuple[str, ...] = ()


def place(
    shape: torch.Size,
    positions: Positions | None,
    layer: str,
    image_size: Size,
    measurement: Measurement | None,
    axes: str | None = None,
) -> Placement:
    """Place the cells of a layer whose output has that shape over images of a size.

    What is derived from ``positions`` comes first, and is compared with the measurement; what is
    not derived is measured. ``axes`` are those that a user has named. Raises UnitsNotFound.
    """
    layout, notes = _layout_and_notes(
        shape, positions, layer, image_size, measurement, axes
    )
    if layout.geometry is not None:
        deviation_notes = _deviation_notes(
            layout.geometry, layout, layer, measurement
        )
        return Placement(layout, layout.geometry, (*notes, *deviation_notes))
    geometry = geometry_of(layout, shape, image_size)
    if geometry.anchored or measurement is None:
        return Placement(layout, geometry, notes)
    grid = GridResponse.of_layout(measurement.response, layout)
    measured = None
    if grid is not None:
        measured = measured_geometry(grid, measurement.images, image_size)
    if measured is None:
        return Placement(layout, geometry, notes)
    note = (
        f"layer {layer!r}: receptive fields could not be derived; the centres of its cells were "
        "measured on perturbed images"
    )
    return Placement(layout, measured, (*notes, note))


def _layout_and_notes(
    shape: torch.Size,
    positions: Positions | None,
    layer: str,
    image_size: Size,
    measurement: Measurement | None,
    axes: str | None,
) -> tuple[Layout, tuple[str, ...]]:
    if axes is not None:
        chosen = chosen_layout(shape, axes, layer, image_size)
        return _with_derived_geometry(chosen, shape, positions, layer), (
            f"layer {layer!r}: its axes are {axes}, as requested",
        )
    try:
        derived = find_layout(shape, positions, layer)
    except AxesUnknown:
        measured = None
        if measurement is not None:
            measured = measured_layout(measurement.response, image_size)
        if measured is None:
            raise
        return measured, (_measured_axes_note(measured, shape, layer),)
    return derived, ()


def _with_derived_geometry(
    chosen: Layout, shape: torch.Size, positions: Positions | None, layer: str
) -> Layout:
    """Return a chosen layout, with the derived geometry if its axes are derived, too."""
    try:
        derived = find_layout(shape, positions, layer)
    except AxesUnknown:
        return chosen
    if isinstance(chosen, FeatureLayout) or isinstance(derived, FeatureLayout):
        return chosen
    return derived if derived.axes == chosen.axes else chosen


def _measured_axes_note(layout: Layout, shape: torch.Size, layer: str) -> str:
    _, unit_axis = axes_of(layout)
    units = shape[unit_axis]
    return (
        f"layer {layer!r}: its {units} units are on axis {unit_axis} of {len(shape)}, as was "
        "measured on perturbed images"
    )


def _deviation_notes(
    geometry: Geometry, layout: Layout, layer: str, measurement: Measurement | None
) -> tuple[str, ...]:
    """Return a note if measured centres are more than half a cell from the derived ones."""
    if measurement is None:
        return ()
    grid = GridResponse.of_layout(measurement.response, layout)
    if grid is None:
        return ()
    deviation = measure_deviation(grid, measurement.images, geometry)
    if deviation.largest <= MAX_DEVIATION:
        return ()
    return (
        f"layer {layer!r}: derived and measured centres of its cells differ by "
        f"{deviation.largest:.2f} cells; the derived ones are used",
    )
