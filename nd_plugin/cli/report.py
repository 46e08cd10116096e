"""Reports of runs and of NetDissect CSV files: ``nd report``. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nd_plugin.borders.csv_text import without_formulas
from nd_plugin.cli import console
from nd_plugin.cli.views.plot_files import PlotRequest
from nd_plugin.cli.views.report_formats import (
    Reporter,
    find_offer,
    guarded_reporter,
)
from nd_plugin.cli.views.report_output import check_output, write_content
from nd_plugin.cli.views.report_sources import Labelling, read_layers
from nd_plugin.comparison.layer_comparison import LayerComparison
from nd_plugin.comparison.pages import file_page
from nd_plugin.contracts.plugin_specs import ReportContent
from nd_plugin.errors import BadInput
from nd_plugin.report import tables, terminal
from nd_plugin.report.json_text import document_text
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.report.tables import layers_content
from nd_plugin.results import displayed_layers
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import REPORT_PAGE
from nd_plugin.site import report_pages

NO_PLOT = PlotRequest()


@dataclass(frozen=True)
class TextFormat:
    """Format of a report as text, and the file that it is written to."""

    # None: by the file's ending; without a file the terminal's
    name: str | None = None
    output: Path | None = None  # None: stdout
    is_safe_csv: bool = False  # without formulas that a spreadsheet would run

    def reporter(self) -> Reporter | None:
        """Return what formats reports; None for the terminal.

        Raises BadInput for a format that is not known, and for one without formulas that is no
        CSV.
        """
        offer = find_offer(self.name, self.output)
        if self.is_safe_csv and (offer is None or "csv" not in offer.spec.name):
            raise BadInput(
                "--safe-csv needs a format of CSV: --format csv, or a FILE that ends in .csv"
            )
        if offer is None:
            return None
        reporter = guarded_reporter(offer)
        if self.is_safe_csv:
            return lambda reports: _safe_csv(reporter(reports))
        return reporter


def _safe_csv(content: ReportContent) -> str:
    """Return CSV without formulas. Raises BadInput for bytes and folders."""
    if not isinstance(content, str):
        raise BadInput("--safe-csv needs a format of CSV, and this one is no text")
    return without_formulas(content)


def format_name(
    option: str | None, output: Path | None, as_json: bool
) -> str | None:
    """Return the value of ``--format``, for which ``--json`` is short.

    The ending of a file says its format under ``--json``, too; stdout then has the JSON.
    """
    if not as_json:
        return option
    if option not in (None, "json"):
        raise BadInput(f"--json and --format {option} exclude each other")
    if output is not None and output.suffix:
        return option
    return "json"


def report(
    sources: Sequence[Path],
    html: Path | None,
    text_format: TextFormat,
    labelling: Labelling,
    plot: PlotRequest = NO_PLOT,
    *,
    as_json: bool,
) -> None:
    """Report runs or CSV files: as pages to ``html``, and as text to a file or stdout.

    Several sources are compared at the end. ``as_json`` prints JSON on stdout, whatever is written
    to files.
    """
    if html is not None:
        displayed_layers.check_html_target(html)
    reporter = text_format.reporter()
    output = text_format.output
    if output is not None:
        check_output(output)
    layers = read_layers(sources, labelling)
    reports = [layer.report for layer in layers]
    comparison = LayerComparison(layers) if len(sources) > 1 else None
    if html is not None:
        _write_pages(reports, comparison, html)
    plot.write(reports)
    has_file = html is not None or plot.file.path is not None
    is_shown = not has_file or text_format.name is not None
    if output is not None or (is_shown and not as_json):
        _show(reports, comparison, reporter, output)
    if as_json:
        console.print_json(_json_content(reports, comparison))


def _json_content(
    reports: Sequence[LayerReport], comparison: LayerComparison | None
) -> dict[str, Any]:
    """Return each layer, and under ``comparison`` all side by side where there are several."""
    content = layers_content(reports)
    if comparison is None:
        return content
    return {**content, "comparison": comparison.to_dict()}


def show_dissections(dissections: Sequence[Dissection], *, as_json: bool) -> None:
    """Print the reports of dissections, to the terminal or as JSON."""
    reports = [dissection.report() for dissection in dissections]
    if as_json:
        console.print_json(layers_content(reports))
    else:
        _print_to_terminal(reports)


def _show(
    reports: Sequence[LayerReport],
    comparison: LayerComparison | None,
    reporter: Reporter | None,
    output: Path | None,
) -> None:
    """Print reports, or write them to a file; without a reporter, to the terminal."""
    if reporter is None:
        _print_to_terminal(reports)
        if comparison is not None:
            console.show(comparison)
        return
    write_content(_formatted(reporter, reports, comparison), output)


def _formatted(
    reporter: Reporter,
    reports: Sequence[LayerReport],
    comparison: LayerComparison | None,
) -> ReportContent:
    """Return reports in a format; text, JSON and pages of several runs have the comparison, too."""
    if comparison is not None:
        if reporter is tables.to_json:
            return document_text(_json_content(reports, comparison)) + "\n"
        if reporter is report_pages.to_html:
            return file_page(comparison)
        if reporter is terminal.to_text:
            return terminal.to_text(reports) + terminal.plain_text([comparison])
    return reporter(reports)


def _write_pages(
    reports: Sequence[LayerReport], comparison: LayerComparison | None, path: Path
) -> None:
    """Write a report, or the comparison of several runs with the report of each."""
    if comparison is None:
        displayed_layers.write_html(reports, path)
    else:
        comparison.to_html(path)
    say_written(path)


def say_written(path: Path) -> None:
    """Say where pages were written, and which of them is to be opened."""
    page = path if displayed_layers.is_page_name(path) else path / REPORT_PAGE
    console.say(f"written to {path}; open {page} in a browser")


def _print_to_terminal(reports: Sequence[LayerReport]) -> None:
    for block in terminal.all_blocks(reports):
        console.show(block)
        console.write("")
