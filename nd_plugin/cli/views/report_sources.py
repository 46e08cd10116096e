"""Runs and NetDissect CSV files that ``nd report`` reads, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nd_plugin.comparison.compared_layers import ComparedLayer, run_names
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput
from nd_plugin.experiments.comparing.results import read_run
from nd_plugin.report.layer_report import SCORE_NAMES
from nd_plugin.report.netdissect_csv import read_netdissect_csv

# NetDissect's threshold for detectors, which its CSV files do not record
CSV_MIN_IOU = 0.04


@dataclass(frozen=True)
class Labelling:
    """Choice of labels and detectors, in place of a run's own."""

    min_iou: float | None = None  # None: the run's own
    by: str = "iou"  # score that labels and orders units
    # of detectors, in place of ``min_iou``; None: IoU defines them
    min_score: float | None = None

    def check(self) -> None:
        """Raise BadInput for values out of range, and for both limits."""
        if self.min_iou is not None:
            Settings(min_iou=self.min_iou)
        if self.by not in SCORE_NAMES:
            raise BadInput(
                f"no score {self.by!r} for --by; known are {', '.join(SCORE_NAMES)}"
            )
        if self.min_iou is not None and self.min_score is not None:
            raise BadInput(
                "--min-iou and --min-score both say what a detector is: give one of the two"
            )


def read_layers(
    sources: Sequence[Path], labelling: Labelling
) -> list[ComparedLayer]:
    """Return the layers of runs and CSV files; of several, each with the name of its run.

    Raises BadInput for a labelling out of range, for a source that is given twice, and for another
    score than IoU of a CSV file; Unavailable for a correlation that a run has not.
    """
    labelling.check()
    names = run_names(sources) if len(sources) > 1 else [""]
    layers: list[ComparedLayer] = []
    for source, name in zip(sources, names, strict=True):
        layers += _layers_of(source, name, labelling)
    return layers


def _layers_of(
    source: Path, name: str, labelling: Labelling
) -> list[ComparedLayer]:
    """Return the layers of one run's folder, or the one of a CSV file."""
    min_iou = labelling.min_iou
    if source.exists() and not source.is_dir():
        _check_labels_by_iou(source, labelling)
        limit = CSV_MIN_IOU if min_iou is None else min_iou
        report = read_netdissect_csv(source, limit)
        run = report.layer if name == source.name else name
        return [ComparedLayer(replace(report, run=run if name else ""))]
    dissections = [
        dissection.labelled_by(labelling.by, labelling.min_score)
        for dissection in read_run(source, min_iou)
    ]
    return [
        ComparedLayer(replace(dissection.report(), run=name))
        for dissection in dissections
    ]


def _check_labels_by_iou(source: Path, labelling: Labelling) -> None:
    """Raise BadInput for labels that a CSV file has not."""
    if labelling.by != "iou" or labelling.min_score is not None:
        raise BadInput(
            f"{source} is a NetDissect CSV file, which has the best concepts by IoU alone; --by "
            "and --min-score need the folder of a run"
        )
