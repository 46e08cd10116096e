"""Reports of runs and of NetDissect CSV files: ``nd report``. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nd_plugin.cli import console
from nd_plugin.contracts.plugin_specs import ReporterSpec
from nd_plugin.errors import BadInput
from nd_plugin.plugins.host import host, load_factory
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.report.netdissect_csv import read_netdissect_csv
from nd_plugin.report.terminal import render
from nd_plugin.results import atomic_files, run_folder

FORMAT_OF_SUFFIX = {
    ".html": "html",
    ".htm": "html",
    ".svg": "svg",
    ".csv": "csv",
    ".json": "json",
}
CSV_MIN_IOU = (
    0.04  # NetDissect's threshold for detectors, which its CSV files do not record
)


def format_name(option: str | None, as_json: bool) -> str | None:
    """Return the value of ``--format``, for which ``--json`` is short."""
    if not as_json:
        return option
    if option not in (None, "json"):
        raise BadInput(f"--json and --format {option} exclude each other")
    return "json"


def report(
    source: Path,
    html: Path | None,
    form: str | None,
    output: Path | None,
    min_iou: float | None,
) -> None:
    """Report a run or a CSV file: to ``html``, and as ``form`` to ``output`` or stdout."""
    reports = read_reports(source, min_iou)
    if html is not None:
        show_reports(reports, "html", html)
    if html is None or form is not None or output is not None:
        show_reports(reports, form, output)


def read_reports(source: Path, min_iou: float | None) -> list[LayerReport]:
    """Return the layer reports of a run's folder or of a NetDissect CSV file."""
    if source.exists() and not source.is_dir():
        return [
            read_netdissect_csv(source, CSV_MIN_IOU if min_iou is None else min_iou)
        ]
    if min_iou is not None:
        raise BadInput(
            "--min-iou is for NetDissect CSV files; a run has the value it was run with"
        )
    return [dissection.report() for dissection in run_folder.load_run(source)]


def show_reports(
    reports: Sequence[LayerReport], form: str | None, output: Path | None
) -> None:
    """Print reports, or write them to a file, in the format of a reporter."""
    if form is None and output is None:
        _print_to_terminal(reports)
        return
    reporter = _find_reporter(form or _format_of_file(output))
    text = str(reporter(reports))
    if output is None:
        console.write(text)
    else:
        atomic_files.write_file(output, text.encode())
        console.say(f"written to {output}")


def _print_to_terminal(reports: Sequence[LayerReport]) -> None:
    for layer_report in reports:
        console.show(render(layer_report))
        console.write("")


def _format_of_file(output: Path | None) -> str:
    suffix = output.suffix.lower() if output is not None else ""
    return FORMAT_OF_SUFFIX.get(suffix, "text")


def _find_reporter(name: str) -> Any:
    offer = host().named(ReporterSpec, name)
    if offer is None:
        names = ", ".join(
            str(offer.spec.name) for offer in host().specs(ReporterSpec)
        )
        raise BadInput(f"no report format {name!r}; known are {names}")
    return load_factory(offer)
