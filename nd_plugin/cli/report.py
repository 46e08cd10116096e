"""Reports of runs and of NetDissect CSV files: ``nd report``. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nd_plugin.cli import console
from nd_plugin.contracts.plugin_specs import ReporterSpec
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput
from nd_plugin.plugins.host import Offer, host, load_factory, only
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.report.netdissect_csv import read_netdissect_csv
from nd_plugin.report.tables import layers_content
from nd_plugin.report.terminal import render
from nd_plugin.results import atomic_files, displayed_layers, run_folder
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import REPORT_PAGE

Reporter = Callable[[Sequence[LayerReport]], str]

# NetDissect's threshold for detectors, which its CSV files do not record
CSV_MIN_IOU = 0.04


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
    source: Path,
    html: Path | None,
    form: str | None,
    output: Path | None,
    min_iou: float | None,
    *,
    as_json: bool,
) -> None:
    """Report a run or a CSV file: as pages to ``html``, and as ``form`` to ``output`` or stdout.

    ``as_json`` prints JSON on stdout, whatever is written to files.
    """
    if html is not None:
        displayed_layers.check_html_target(html)
    reporter = _find_reporter(form, output)
    reports = read_reports(source, min_iou)
    if html is not None:
        _write_pages(reports, html)
    is_shown = html is None or form is not None
    if output is not None or (is_shown and not as_json):
        _show(reports, reporter, output)
    if as_json:
        console.print_json(layers_content(reports))


def read_reports(source: Path, min_iou: float | None) -> list[LayerReport]:
    """Return the layer reports of a run's folder or of a NetDissect CSV file.

    ``min_iou`` replaces the run's own value. Raises BadInput where it is out of range.
    """
    if min_iou is not None:
        Settings(min_iou=min_iou)  # checks its range
    if source.exists() and not source.is_dir():
        return [
            read_netdissect_csv(source, CSV_MIN_IOU if min_iou is None else min_iou)
        ]
    dissections = run_folder.load_run(source)
    if min_iou is not None:
        dissections = [
            _at_min_iou(dissection, min_iou) for dissection in dissections
        ]
    return [dissection.report() for dissection in dissections]


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


def show_dissections(dissections: Sequence[Dissection], *, as_json: bool) -> None:
    """Print the reports of dissections, to the terminal or as JSON."""
    reports = [dissection.report() for dissection in dissections]
    if as_json:
        console.print_json(layers_content(reports))
    else:
        _print_to_terminal(reports)


def _show(
    reports: Sequence[LayerReport], reporter: Reporter | None, output: Path | None
) -> None:
    """Print reports, or write them to a file; without a reporter, to the terminal."""
    if reporter is None:
        _print_to_terminal(reports)
    elif output is None:
        console.write(str(reporter(reports)))
    else:
        _write(str(reporter(reports)), output)


def _write(text: str, path: Path) -> None:
    atomic_files.write_file(path, text.encode())
    console.say(f"written to {path}")


def _write_pages(reports: Sequence[LayerReport], path: Path) -> None:
    displayed_layers.write_html(reports, path)
    page = path if displayed_layers.is_page_name(path) else path / REPORT_PAGE
    console.say(f"written to {path}; open {page} in a browser")


def _print_to_terminal(reports: Sequence[LayerReport]) -> None:
    for layer_report in reports:
        console.show(render(layer_report))
        console.write("")


def check_html_name(path: Path | None) -> None:
    """Raise BadInput for a file of ``--html`` whose ending is not that of a page."""
    if path is None or not path.suffix:
        return
    offer = _offer_of_file(path)
    if offer is None or offer.spec.name != "html":
        raise BadInput(
            f"--html writes an HTML page, and {path.name} ends in {path.suffix}; "
            "end the name in .html"
        )


def _find_reporter(form: str | None, output: Path | None) -> Reporter | None:
    """Return the reporter of a format, else of a file's ending; None for the terminal.

    A file without any ending gets text. Raises BadInput for an ending that no reporter claims.
    """
    if form is not None:
        return _load_reporter(form)
    if output is None:
        return None
    if not output.suffix:
        return _load_reporter("text")
    offer = _offer_of_file(output)
    if offer is None:
        raise BadInput(
            f"no report format for files that end in {output.suffix!r} ({output.name}); "
            f"known are {_known_endings()}; or choose one with --format"
        )
    return _reporter(offer)


def _offer_of_file(path: Path) -> Offer | None:
    """Return the report format whose ending is the longest that a file's name has, or None.

    Raises PluginConflict where plugins claim the same ending.
    """
    name = path.name.lower()
    by_ending: dict[str, list[Offer]] = {}
    for offer in host().specs(ReporterSpec):
        for ending in map(str.lower, offer.spec.endings):
            if name.endswith(ending):
                by_ending.setdefault(ending, []).append(offer)
    if not by_ending:
        return None
    longest = max(by_ending, key=len)
    return only(by_ending[longest], f"the ending {longest!r}")


def _known_endings() -> str:
    endings: list[str] = []
    for offer in host().specs(ReporterSpec):
        endings += offer.spec.endings
    return ", ".join(sorted(endings))


def _load_reporter(name: str) -> Reporter:
    offer = host().named(ReporterSpec, name)
    if offer is None:
        names = ", ".join(
            str(offer.spec.name) for offer in host().specs(ReporterSpec)
        )
        raise BadInput(f"no report format {name!r}; known are {names}")
    return _reporter(offer)


def _reporter(offer: Offer) -> Reporter:
    reporter: Reporter = load_factory(offer)
    return reporter
