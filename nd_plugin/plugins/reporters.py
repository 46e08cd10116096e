"""Report formats of the host, through the same hook as everyone's."""

from __future__ import annotations

from nd_plugin.contracts.plugin_specs import ReporterSpec
from nd_plugin.plugins.hookspecs import hookimpl

TERMINAL = "nd_plugin.report.terminal"
PAGES = "nd_plugin.site.report_pages"
TABLES = "nd_plugin.report.tables"
SWEEPS = "nd_plugin.report.thresholds.tables"
LATEX = "nd_plugin.plots.latex"
NETDISSECT = "nd_plugin.report.netdissect_csv"


@hookimpl
def nd_reporters() -> list[ReporterSpec]:
    """Return plain text, HTML, SVG, CSV, JSON, LaTeX and the CSV of the original code."""
    return [
        ReporterSpec(
            "text",
            "the terminal report without colours",
            f"{TERMINAL}:to_text",
            (".txt", ".text"),
        ),
        ReporterSpec(
            "html",
            "pages with pictures, as one file",
            f"{PAGES}:to_html",
            (".html", ".htm"),
        ),
        ReporterSpec(
            "svg",
            "the terminal report as a picture",
            f"{TERMINAL}:to_svg",
            (".svg",),
        ),
        ReporterSpec("csv", "one line per unit", f"{TABLES}:to_csv", (".csv",)),
        ReporterSpec(
            "quantiles-csv",
            "one line per layer and quantile, of layers at several",
            f"{SWEEPS}:to_csv",
            (".quantiles.csv",),
        ),
        ReporterSpec(
            "json",
            "summary and units of each layer",
            f"{TABLES}:to_json",
            (".json",),
        ),
        ReporterSpec(
            "latex",
            "unique detectors by category, a row for each layer (booktabs)",
            f"{LATEX}:to_latex",
            (".tex",),
        ),
        ReporterSpec(
            "netdissect-csv",
            "one layer as the original NetDissect code writes it; units from 1",
            f"{NETDISSECT}:to_csv",
            (".netdissect.csv",),
        ),
    ]
