"""Sensitivity to the quantile τ (section 4): what labels and IoU become as it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nd_plugin.borders.printable import utf8
from nd_plugin.errors import BadInput
from nd_plugin.plots.named_results import flattened, report_of
from nd_plugin.report.json_text import document_text
from nd_plugin.report.thresholds.sweep import QuantileSweep, quantile_sweeps
from nd_plugin.report.thresholds.tables import sweep_content, sweeps_csv
from nd_plugin.results.atomic_files import write_file


def sweep_quantiles(results: Any) -> list[QuantileSweep]:
    """Return a sweep for each layer among results at several quantiles.

    Args:
        results: Dissections or reports, in any order and in lists of any depth, such as
            ``LayerDissection(model, layers).dissect(concepts, quantile=[0.0025, 0.005, 0.01])``
            returns and `load_run` reads.

    Returns:
        Sweeps: `QuantileSweep.points` has the counts at each τ, ``iou`` (quantile, unit) the IoU
        of each unit with its label, ``best_quantiles`` (unit,) where that is highest.

    Raises:
        BadInput: No layer at two quantiles or more.
    """
    reports = [report_of(result) for result in flattened(results)]
    sweeps = quantile_sweeps(reports)
    if not sweeps:
        quantiles = {report.summary.quantile for report in reports}
        listed = ", ".join(f"{quantile:g}" for quantile in quantiles if quantile)
        raise BadInput(
            f"no layer at two quantiles or more (quantiles: {listed or 'none'}): dissect with "
            "several, nd dissect … --quantile 0.0025,0.005,0.01, or "
            "dissect(…, quantile=[0.0025, 0.005, 0.01])"
        )
    return sweeps


def save_sweeps(sweeps: Sequence[QuantileSweep], path: str | Path) -> Path:
    """Write sweeps as FILE.csv, a line for each quantile, or as FILE.json.

    Raises BadInput for another ending, NotSaved.
    """
    file = Path(path)
    if file.suffix == ".csv":
        text = sweeps_csv(sweeps)
    elif file.suffix == ".json":
        content = [sweep_content(sweep) for sweep in sweeps]
        text = document_text({"quantile_sweeps": content}) + "\n"
    else:
        raise BadInput(f"{file.name} ends in neither .csv nor .json")
    write_file(file, utf8(text))
    return file
