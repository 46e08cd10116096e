"""What ``nd report`` does. It needs no torch."""

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

ENDINGS = {".html": "html", ".htm": "html", ".svg": "svg", ".csv": "csv", ".json": "json"}


def one_form(form: str | None, as_json: bool) -> str | None:
    """``--json`` is short for ``--format json``."""
    if as_json and form not in (None, "json"):
        raise BadInput(f"--json and --format {form} exclude each other")
    return "json" if as_json else form


def report(
    source: Path, html: Path | None, form: str | None, output: Path | None, min_iou: float | None
) -> None:
    """Report a run or a NetDissect CSV file."""
    reports = read_reports(source, min_iou)
    if html is not None:
        show_reports(reports, "html", html)
    if html is None or form is not None or output is not None:
        show_reports(reports, form, output)


def read_reports(source: Path, min_iou: float | None) -> list[LayerReport]:
    """The layers of a run's folder or of a NetDissect CSV file."""
    if source.is_dir() or not source.exists():
        if min_iou is not None:
            raise BadInput(
                "--min-iou is for NetDissect CSV files; a run keeps the value it was made with"
            )
        return [dissection.report() for dissection in run_folder.load_run(source)]
    return [read_netdissect_csv(source, 0.04 if min_iou is None else min_iou)]


def show_reports(reports: Sequence[LayerReport], form: str | None, output: Path | None) -> None:
    """Print reports, or write them to a file, in the form that a reporter gives them."""
    if form is None and output is None:
        for item in reports:
            console.show(render(item))
            console.write("")
        return
    form = form or (ENDINGS.get(output.suffix.lower()) if output is not None else None) or "text"
    text = str(_reporter(form)(reports))
    if output is None:
        console.write(text)
    else:
        atomic_files.write_file(output, text.encode())
        console.say(f"written to {output}")


def _reporter(name: str) -> Any:
    offer = host().named(ReporterSpec, name)
    if offer is None:
        known = ", ".join(str(o.spec.name) for o in host().specs(ReporterSpec))
        raise BadInput(f"no report format {name!r}; known are {known}")
    return load_factory(offer)
