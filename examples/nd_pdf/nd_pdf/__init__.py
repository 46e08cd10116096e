"""Report format ``pdf``: the best detectors with their top images, as pages to print.

Imported whenever plugins are listed, so it imports nothing heavy.
"""

from nd_plugin import ReporterSpec, hookimpl


@hookimpl
def nd_reporters() -> list[ReporterSpec]:
    """Announce the report format ``pdf``."""
    return [
        ReporterSpec(
            name="pdf",
            summary="the best detectors with their top images, as pages to print",
            factory="nd_pdf.report:to_pdf",
            endings=(".pdf",),
        )
    ]
