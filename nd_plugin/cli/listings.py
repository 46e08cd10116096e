"""Commands that list: ``nd layers``, ``nd doctor``."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.console import new_table, print_json
from nd_plugin.cli.options.groups import ModelChoice, Preprocessing
from nd_plugin.cli.options.shared import (
    CustomOps,
    Device,
    Feeds,
    Input,
    InputSize,
    Json,
    ModelText,
    Weights,
)
from nd_plugin.contracts.models import LayerDescription
from nd_plugin.contracts.plugin_specs import BackendSpec, Finding
from nd_plugin.errors import BadInput, NDError
from nd_plugin.plugins.guard import Owner
from nd_plugin.plugins.guarded_members import FINDINGS
from nd_plugin.plugins.host import host, load_factory
from nd_plugin.plugins.layer_patterns import enumerated, has_units
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.shell import layer_cache

if TYPE_CHECKING:
    from nd_plugin.testing.places import VerifiedPlace

NO_REASON = "the output is no tensor with units"  # of backends that give none


def layers(
    model: ModelText,
    input_size: InputSize = None,
    weights: Weights = None,
    device: Device = "auto",
    input_name: Input = None,
    feed: Feeds = None,
    custom_op_library: CustomOps = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Measure on perturbed images where cells look, and compare.",
        ),
    ] = False,
    paper: Annotated[
        bool,
        typer.Option(
            "--paper",
            help="List the layers that the paper dissects, in its networks and their relatives.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """List a model's layers in execution order, with their shapes and receptive fields."""
    from nd_plugin.cli.views.paper_layers import print_paper_layers
    from nd_plugin.plugins.opening import open_model
    from nd_plugin.testing.places import verify_places

    if paper and verify:
        raise BadInput("--paper and --verify are two listings: choose one of them")
    choice = ModelChoice(device, None, input_name, feed, custom_op_library)
    options = choice.model_options(weights)
    preprocess_values = Preprocessing(input_size).values()
    with console.results_only():
        opened_model = open_model(model, options)
        preprocess = opened_model.preprocess.changed(preprocess_values)
        descriptions = opened_model.layers(preprocess.size)
        places: dict[str, VerifiedPlace] = {}
        if verify:
            for place in verify_places(opened_model, descriptions, preprocess.size):
                places[place.layer] = place
    names = [layer.name for layer in descriptions if has_units(layer)]
    layer_cache.remember(model, names)
    if paper:
        print_paper_layers(descriptions, as_json=json)
    else:
        print_layers(descriptions, places, as_json=json)
    console.warn(preprocess.notes)


def print_layers(
    layers: Sequence[LayerDescription],
    places: Mapping[str, VerifiedPlace],
    *,
    as_json: bool,
) -> None:
    """Print name, kind, shape and receptive field of each layer; then those without units.

    ``places`` are what was measured, by layer; none unless the command line asks for it.
    """
    if as_json:
        print_json({"layers": [_as_json(layer, places) for layer in layers]})
        return
    headers = ["layer", "kind", "shape", "stride", "receptive field"]
    if places:
        headers += ["measured"]
    table = new_table(*headers)
    for layer in layers:
        if layer.shape is not None and has_units(layer):
            cells = _layer_cells(layer)
            if places:
                cells.append(_verified_cell(places.get(layer.name)))
            table.add_row(Text(layer.name), *cells)
    console.show(table, fold_rows=False)
    _print_layers_without_units([layer for layer in layers if not has_units(layer)])


def _as_json(
    layer: LayerDescription, places: Mapping[str, VerifiedPlace]
) -> dict[str, Any]:
    """Return a layer as plain values, with what was measured of it."""
    content = asdict(layer)
    place = places.get(layer.name)
    if place is not None:
        content["verified"] = {
            "verdict": place.verdict,
            "measured": place.measured and asdict(place.measured),
            "deviation_in_cells": asdict(place.deviation),
        }
    return content


def _layer_cells(layer: LayerDescription) -> list[str]:
    assert layer.shape is not None
    shape = "x".join(map(str, layer.shape[1:]))
    stride, field_size = _receptive_field_cells(layer.geometry)
    return [layer.kind, shape, stride, field_size]


def _verified_cell(place: VerifiedPlace | None) -> str:
    """Say whether measured centres agree with the stated ones, and how far apart they are."""
    if place is None:
        return ""
    if place.verdict == "not measurable":
        return place.verdict
    return f"{place.verdict} ({place.deviation.largest:.2f} cells)"


def _print_layers_without_units(layers: Sequence[LayerDescription]) -> None:
    """Print a row for each reason why units cannot be taken, with the layers that it is true of."""
    names_by_reason: dict[str, list[str]] = {}
    for layer in layers:
        reason = layer.reason or NO_REASON
        names_by_reason.setdefault(reason, []).append(layer.name)
    table = new_table("without units because", "layers", "names")
    for reason, names in names_by_reason.items():
        table.add_row(Text(reason), str(len(names)), Text(enumerated(names)))
    if layers:
        console.write("")
        console.show(table)


def _receptive_field_cells(geometry: Geometry | None) -> tuple[str, str]:
    """Return stride and size of a layer's receptive fields as table cells."""
    if geometry is None:
        return "", ""
    if not geometry.anchored:
        return "", "unknown"
    if geometry.measured:
        return f"{geometry.rows.stride:g}", "measured centres"
    rows = geometry.rows
    columns = geometry.columns
    return f"{rows.stride:g}", f"{rows.size:g}x{columns.size:g}"


def doctor(json: Json = False) -> None:
    """Check torch, CUDA and ONNX Runtime's providers on this machine, and say what to install."""
    with console.results_only():
        findings = examine_installation()
    print_findings(findings, as_json=json)


def examine_installation() -> list[Finding]:
    """Return the findings of Python and of all backends; a check that fails is a finding itself."""
    findings = [
        Finding("Python", f"{platform.python_version()}, {platform.platform()}"),
        Finding("nd_plugin", metadata.version("nd_plugin")),
    ]
    for offer in host().specs(BackendSpec):
        if not offer.spec.doctor:
            continue
        owner = Owner(offer.plugin.origin, f"backend {offer.spec.name!r}")
        try:
            examine = load_factory(offer, offer.spec.doctor)
            findings += owner.call("doctor", FINDINGS, examine)
        except NDError as error:  # of whatever a broken installation raises
            problem = f"cannot be used: {error}"
            findings.append(Finding(offer.spec.name, problem, "reinstall it"))
    return findings


def print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print subject, state and remedy of each finding of ``nd doctor``."""
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
        return
    table = new_table("", "found", "what to do")
    for finding in findings:
        remedy = Text(finding.remedy, style="yellow")
        table.add_row(Text(finding.subject), Text(finding.found), remedy)
    console.show(table)
