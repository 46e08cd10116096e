"""Conformance kit of reporters."""

from __future__ import annotations

from nd_plugin.testing.conformance import Check, checks_of, run_checks
from nd_plugin.testing.reporter_kit import (
    content_rules,
    process_rules,
    text_rules,
)
from nd_plugin.testing.reporter_kit.case import Reporter, ReporterCase

REPORTER_RULES = (
    *content_rules.RULES,
    *text_rules.RULES,
    *process_rules.RULES,
)


def check_reporter(factory: Reporter) -> None:
    """Check a reporter on small layers of every kind.

    ``factory`` is what ``ReporterSpec.factory`` names, a function of LayerReports. Raises
    ConformanceError with every check that does not hold.
    """
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    subject = f"reporter {getattr(factory, '__module__', '?')}.{name}"
    run_checks(subject, reporter_checks(factory))


def reporter_checks(factory: Reporter) -> list[Check]:
    """Return the checks of `check_reporter`; nothing is called before one is called."""
    return checks_of(REPORTER_RULES, ReporterCase(factory))
