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
    LayoutNotFound,
    MapLayout,
    TokenLayout,
    axes_of,
    find_layout,
    geometry_of,
)
from nd_plugin.receptive_fields.measured_centres import (
    GridResponse,
    measure_deviation,
    measured_geometry,
)
from nd_plugin.receptive_fields.measured_layout import (
    measured_layout,
    units_are_places,
)
from nd_plugin.receptive_fields.perturbation import PerturbedImages, Response
from nd_plugin.receptive_fields.positions import Positions, axis_of, line

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
    # as many units as tokens, which in attention matrices are places, too
    is_square: bool = False

    @property
    def needs_measuring(self) -> bool:
        """Whether a measurement decides on the layout or the geometry."""
        return self.is_square or not self.geometry.anchored


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
        return Placement(
            layout,
            layout.geometry,
            (*notes, *deviation_notes),
            _is_square(layout, shape),
        )
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
        note = f"layer {layer!r}: its axes are {axes}, as requested"
        derived_grid = _derived_grid(shape, positions, layer)
        if derived_grid is None or isinstance(chosen, FeatureLayout):
            return chosen, (note,)
        if derived_grid.axes == chosen.axes:
            return derived_grid, (note,)
        return chosen, (note, _contradiction_note(derived_grid, shape, layer))
    try:
        derived = find_layout(shape, positions, layer)
    except AxesUnknown:
        measured = None
        if measurement is not None:
            measured = measured_layout(measurement.response, image_size)
        if measured is None:
            raise
        return measured, (_measured_axes_note(measured, shape, layer),)
    if isinstance(derived, FeatureLayout) and positions is not None:
        _check_features(positions, layer)
    if isinstance(derived, TokenLayout) and measurement is not None:
        _check_units(derived, shape, layer, image_size, measurement)
    return derived, ()


def _check_features(positions: Positions, layer: str) -> None:
    """Check that features (image, unit) are not the rows or columns of the image.

    The flattened maps of several units are features. Raises LayoutNotFound.
    """
    for coordinate, size, stride in zip(
        (positions.rows, positions.columns),
        positions.size,
        positions.stride,
        strict=True,
    ):
        axis = axis_of(line(coordinate, 1), size, stride)
        if axis is not None and coordinate.shape[1] > 1:
            raise _units_are_places(positions.shape, layer)


def _is_square(layout: Layout, shape: torch.Size) -> bool:
    """Return whether there are as many units as tokens."""
    if not isinstance(layout, TokenLayout):
        return False
    _, token_axis, unit_axis = layout.axes
    return shape[token_axis] == shape[unit_axis]


def _check_units(
    layout: TokenLayout,
    shape: torch.Size,
    layer: str,
    image_size: Size,
    measurement: Measurement,
) -> None:
    """Check that units are no places, as in attention between tokens.

    Raises LayoutNotFound.
    """
    response = measurement.response
    if _is_square(layout, shape) and units_are_places(response, layout, image_size):
        raise _units_are_places(shape, layer)


def _units_are_places(shape: torch.Size, layer: str) -> LayoutNotFound:
    """Return the error of an output of that shape whose units would be places in the image."""
    reason = "units would be places in the image (rows, columns, or tokens that attention compares)"
    message = (
        f"layer {layer!r} returns a tensor of shape {tuple(shape)} in which {reason}; choose a "
        "neighbouring layer"
    )
    return LayoutNotFound(message, reason)


def _derived_grid(
    shape: torch.Size, positions: Positions | None, layer: str
) -> MapLayout | TokenLayout | None:
    """Return the derived layout of cells; None where none is derived, and for features."""
    try:
        derived = find_layout(shape, positions, layer)
    except AxesUnknown:
        return None
    return None if isinstance(derived, FeatureLayout) else derived


def _contradiction_note(layout: Layout, shape: torch.Size, layer: str) -> str:
    _, unit_axis = axes_of(layout)
    units = shape[unit_axis]
    return (
        f"layer {layer!r}: its operations contradict these axes: by them it has {units} units, on "
        f"axis {unit_axis} of {len(shape)}, and what is called a unit here may be a place"
    )


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
    _, unit_axis = axes_of(layout)
    units = measurement.response.shape[unit_axis]
    measured = measure_deviation(grid, measurement.images, geometry)
    deviation = measured.beyond_chance(geometry, units)
    if deviation.largest <= MAX_DEVIATION:
        return ()
    return (
        f"layer {layer!r}: derived and measured centres of its cells differ by "
        f"{deviation.largest:.2f} cells; the derived ones are used",
    )
