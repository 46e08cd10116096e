"""The kit of reporters over all of ours."""

from __future__ import annotations

import pytest

from nd_plugin import ReporterSpec
from nd_plugin.plugins.host import host, load_factory
from nd_plugin.plugins.reporters import nd_reporters
from nd_plugin.testing import reporter_checks
from nd_plugin.testing.conformance import run_checks
from nd_plugin.testing.reporter_kit import content_rules

# in another process: of a format that uses all that the others use
IN_ANOTHER_PROCESS = {"html"}
PROCESS_CHECKS = {"other-process", "needs-no-torch"}


@pytest.mark.parametrize("name", [spec.name for spec in nd_reporters()])
def test_our_reporters(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # none of them asks for the time, and a second of each would be eight
    monkeypatch.setattr(content_rules, "SECONDS_BETWEEN", 0.0)
    offer = host().named(ReporterSpec, name)
    assert offer is not None
    checks = reporter_checks(load_factory(offer))
    assert {check.name for check in checks} > PROCESS_CHECKS
    if name not in IN_ANOTHER_PROCESS:
        checks = [check for check in checks if check.name not in PROCESS_CHECKS]
    run_checks(name, checks)
