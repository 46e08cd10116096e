"""Runs and NetDissect CSV files that ``nd report`` reads, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nd_plugin.comparison.compared_layers import ComparedLayer, run_names
from nd_plugin.contracts.provenance import Settings
from nd_plugin.experiments.comparing.results import read_run
from nd_plugin.report.netdissect_csv import read_netdissect_csv

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
    return [
        ComparedLayer(replace(dissection.report(), run=name))
        for dissection in read_run(source, min_iou)
    ]
