"""Runs and NetDissect CSV files that ``nd report`` reads, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nd_plugin.comparison.compared_layers import ComparedLayer, run_names
from nd_plugin.contracts.provenance import Settings
from nd_plugin.report.netdissect_csv import read_netdissect_csv
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection

# NetDissect's threshold for detectors, which its CSV files do not record
CSV_MIN_IOU = 0.04


def read_layers(
    sources: Sequence[Path], min_iou: float | None
) -> list[ComparedLayer]:
    """Return the layers of runs and CSV files; of several, each with the name of its run.

    ``min_iou`` replaces the runs' own values. Raises BadInput where it is out of range, and for a
    source that is given twice.
    """
    if min_iou is not None:
        Settings(min_iou=min_iou)  # checks its range
    names = run_names(sources) if len(sources) > 1 else [""]
    layers: list[ComparedLayer] = []
    for source, name in zip(sources, names, strict=True):
        layers += _layers_of(source, name, min_iou)
    return layers


def _layers_of(
    source: Path, name: str, min_iou: float | None
) -> list[ComparedLayer]:
    """Return the layers of one run's folder, or the one of a CSV file."""
    if source.exists() and not source.is_dir():
        limit = CSV_MIN_IOU if min_iou is None else min_iou
        report = read_netdissect_csv(source, limit)
        run = report.layer if name == source.name else name
        return [ComparedLayer(replace(report, run=run if name else ""))]
    dissections = run_folder.load_run(source)
    if min_iou is not None:
        dissections = [
            _at_min_iou(dissection, min_iou) for dissection in dissections
        ]
    return [
        ComparedLayer(replace(dissection.report(), run=name))
        for dissection in dissections
    ]


def _at_min_iou(dissection: Dissection, min_iou: float) -> Dissection:
    """Return a dissection with another limit for detectors; a note says so where it differs."""
    own_min_iou = dissection.settings.min_iou
    if min_iou == own_min_iou:
        return dissection
    note = f"detectors are counted at IoU > {min_iou:g}; the run's own is {own_min_iou:g}"
    provenance = dissection.provenance
    return replace(
        dissection,
        settings=replace(dissection.settings, min_iou=min_iou),
        provenance=replace(provenance, notes=(note, *provenance.notes)),
    )
