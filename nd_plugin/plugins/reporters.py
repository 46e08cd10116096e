"""Report formats: the host's own reporters, through the same hook as everyone's."""

from __future__ import annotations

from nd_plugin.contracts.plugin_specs import ReporterSpec
from nd_plugin.plugins.hookspecs import hookimpl


@hookimpl
def nd_reporters() -> list[ReporterSpec]:
    """Plain text, HTML, SVG, CSV and JSON."""
    return [
        ReporterSpec(
            "text", "the terminal report without colours", "nd_plugin.report.terminal:to_text"
        ),
        ReporterSpec("html", "the terminal report as a page", "nd_plugin.report.terminal:to_html"),
        ReporterSpec("svg", "the terminal report as a picture", "nd_plugin.report.terminal:to_svg"),
        ReporterSpec("csv", "one line per unit", "nd_plugin.report.tables:to_csv"),
        ReporterSpec("json", "one summary per layer", "nd_plugin.report.tables:to_json"),
    ]
