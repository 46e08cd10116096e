"""Rules of places: which axes are rows and columns, and where in the image cells look."""

from __future__ import annotations

from collections.abc import Mapping

from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.receptive_fields.layout import MapLayout
from nd_plugin.receptive_fields.measured_layout import measured_layout
from nd_plugin.receptive_fields.perturbation import Response
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.backend_kit.map_form_rules import values_of
from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.places import IMAGE_UNIT_ROW_COLUMN, place_of_maps

TOLERANCE = 0.75  # cells: few units with random weights may look to one side


def geometries(case: BackendCase) -> None:
    """Require a geometry for each layer."""
    case.once("geometries", lambda: _require_geometries(case))


def _require_geometries(case: BackendCase) -> None:
    stated = case.record.probe.geometries
    require(
        isinstance(stated, Mapping),
        f"probe.geometries is a mapping, not a {type(stated).__name__}",
    )
    for layer in case.record.probe.layers:
        geometry = stated.get(layer)
        require(
            isinstance(geometry, Geometry),
            f"the geometry of {layer} is a Geometry, not {geometry!r}",
        )


def rows_before_columns(case: BackendCase) -> None:
    """Require maps whose rows and columns follow those of the image."""

    def follow() -> None:
        maps_of = values_of(case, case.record.perturbed)
        for layer, maps in maps_of.items():
            measured = measured_layout(Response.of_output(maps, 0), case.size)
            require(
                not isinstance(measured, MapLayout)
                or measured.axes == IMAGE_UNIT_ROW_COLUMN.axes,
                f"maps of {layer} are (image, unit, row, column), but images, units, rows and "
                f"columns were measured on axes {getattr(measured, 'axes', ())}",
            )

    case.once("rows-before-columns", follow)


def places(case: BackendCase) -> None:
    """Require cells that look where their geometry says."""
    rows_before_columns(case)
    geometries(case)
    stated = case.record.probe.geometries
    images = case.record.perturbed_images
    for layer, maps in case.record.perturbed.get().items():
        place = place_of_maps(layer, maps, stated[layer], images, case.size)
        is_far = place.differs and place.deviation.largest > TOLERANCE
        require(
            not is_far,
            f"{layer}: cells look {place.deviation.largest:.1f} cells away from where its geometry "
            f"says, {place.stated}; measured: {place.measured}",
        )


RULES: tuple[Rule[BackendCase], ...] = (
    Rule("geometries", "each layer of a probe has a Geometry", geometries),
    Rule(
        "rows-before-columns",
        "rows of maps follow the rows of the image, and columns its columns, by perturbation",
        rows_before_columns,
    ),
    Rule(
        "places",
        "cells look where the geometry says, by perturbation",
        places,
    ),
)
