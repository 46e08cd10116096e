"""Formats of ``nd report``: the reporter of a name, or of a file's ending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from nd_plugin.cli import console
from nd_plugin.contracts.plugin_specs import ReportContent, ReporterSpec
from nd_plugin.errors import BadInput, PluginFailed
from nd_plugin.plugins.guard import Owner
from nd_plugin.plugins.guarded_members import REPORT_CONTENT
from nd_plugin.plugins.host import Offer, host, load_factory, only
from nd_plugin.report import tables, terminal
from nd_plugin.report.content.checked_content import find_fault, plain_content
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.site import report_pages

Reporter = Callable[[Sequence[LayerReport]], ReportContent]
# our own, which also show several runs side by side
FORMATS_OF_SEVERAL: tuple[Reporter, ...] = (
    tables.to_json,
    report_pages.to_html,
    terminal.to_text,
)


def find_offer(form: str | None, output: Path | None) -> Offer | None:
    """Return the report format of a name, else of a file's ending; None for the terminal.

    A file without any ending gets text. Raises BadInput for an ending that no reporter claims.
    """
    if form is not None:
        return _offer_named(form)
    if output is None:
        return None
    if not output.suffix:
        return _offer_named("text")
    offer = _offer_of_file(output)
    if offer is None:
        raise BadInput(
            f"no report format for files that end in {output.suffix!r} ({output.name}); "
            f"known are {_known_endings()}; or choose one with --format"
        )
    return offer


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


def _offer_named(name: str) -> Offer:
    offer = host().named(ReporterSpec, name)
    if offer is None:
        names = ", ".join(
            str(offer.spec.name) for offer in host().specs(ReporterSpec)
        )
        raise BadInput(f"no report format {name!r}; known are {names}")
    return offer


def guarded_reporter(offer: Offer) -> Reporter:
    """Return what formats reports; PluginFailed names the plugin of one that fails."""
    reporter: Reporter = load_factory(offer)
    if reporter in FORMATS_OF_SEVERAL:
        return reporter
    owner = Owner(offer.plugin.origin, f"report format {offer.spec.name!r}")
    name = offer.spec.factory.rpartition(":")[2]

    def content_of(reports: Sequence[LayerReport]) -> ReportContent:
        return cast("ReportContent", plain_content(reporter(reports)))

    def format_reports(reports: Sequence[LayerReport]) -> ReportContent:
        with console.results_only():
            content: ReportContent = owner.call(
                name, REPORT_CONTENT, content_of, reports
            )
        fault = find_fault(content)
        if fault:
            raise PluginFailed(
                f"{owner.origin} failed in {name}() of the {owner.subject}: it gives a "
                f"folder with {fault}"
            )
        return content

    return format_reports
