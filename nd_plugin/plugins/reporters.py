"""Report formats of the host, through the same hook as everyone's."""

from __future__ import annotations

from nd_plugin.contracts.plugin_specs import ReporterSpec
from nd_plugin.plugins.hookspecs import hookimpl

TERMINAL = "nd_plugin.report.terminal"
TABLES = "nd_plugin.report.tables"


@hookimpl
def nd_reporters() -> list[ReporterSpec]:
    """Return plain text, HTML, SVG, CSV and JSON."""
    return [
        ReporterSpec(
            "text", "the terminal report without colours", f"{TERMINAL}:to_text"
        ),
        ReporterSpec(
            "html", "the terminal report as a page", f"{TERMINAL}:to_html"
        ),
        ReporterSpec(
            "svg", "the terminal report as a picture", f"{TERMINAL}:to_svg"
        ),
        ReporterSpec("csv", "one line per unit", f"{TABLES}:to_csv"),
        ReporterSpec("json", "one summary per layer", f"{TABLES}:to_json"),
    ]
