"""Rules of content: every kind of layer is reported or refused, and twice the same."""

from __future__ import annotations

import time
from functools import partial

from nd_plugin.contracts.plugin_specs import ReportContent
from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.reporter_kit.case import ReporterCase, state_of
from nd_plugin.testing.reporter_kit.made_layers import SAMPLES

REFUSABLE = {
    "without-pictures": "a run without pictures is reported, or refused by an error of nd_plugin",
    "without-dissection": "a layer of which only a CSV file is left (dissection is None) is "
    "reported, or refused",
    "without-detectors": "a layer without detectors is reported",
    "one-unit": "a layer of one unit is reported",
    "several-layers": "layers of several runs are reported together, or refused",
    "error-bars": "a layer with intervals and a level of chance is reported",
    "hostile-names": "names with markup, control characters, formulas and of great length are "
    "reported",
    "no-layers": "an empty sequence gives content, or an error of nd_plugin",
}
REPEATED = ("gives-content", "several-layers")
# between two calls: times are written to the second
SECONDS_BETWEEN = 1.0
DATES = ("%Y-%m-%d", "%Y%m%d")


def gives_content(case: ReporterCase) -> None:
    """Require content of a layer with everything that a run may have."""
    content = case.content("gives-content")
    require(content is not None, "a layer with pictures is refused")
    require(content, "gave nothing for a layer with pictures")


def _is_reported(sample: str, case: ReporterCase) -> None:
    case.content(sample)


def deterministic(case: ReporterCase) -> None:
    """Require the same content a second later, without the date of today."""
    first = {sample: case.content(sample) for sample in REPEATED}
    time.sleep(max(0.0, case.made_at + SECONDS_BETWEEN - time.time()))
    for sample, content in first.items():
        again = case.make(SAMPLES[sample]())
        require(
            state_of(content) == state_of(again),
            "gave something else when it was called again with equal reports: leave out times, "
            "random numbers and what depends on the order of a set",
        )
        _require_no_date(content)


def _require_no_date(content: ReportContent | None) -> None:
    searched = repr(state_of(content))
    for form in DATES:
        # of both time zones that a reporter may have meant
        for moment in (time.localtime(), time.gmtime()):
            date = time.strftime(form, moment)
            require(date not in searched, f"gave the date of today, {date}")


RULES = (
    Rule(
        "gives-content",
        "a text, bytes, or a mapping of relative paths to texts or bytes is given for a layer with "
        "pictures",
        gives_content,
    ),
    *(
        Rule(name, statement, partial(_is_reported, name))
        for name, statement in REFUSABLE.items()
    ),
    Rule(
        "deterministic",
        "equal reports give the same bytes, whenever: no time, no random number",
        deterministic,
    ),
)
