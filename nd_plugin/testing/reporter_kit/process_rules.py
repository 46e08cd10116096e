"""Rules of what a reporter does beside its content: here, and in another process."""

from __future__ import annotations

from functools import partial

from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.reporter_kit.case import ReporterCase
from nd_plugin.testing.reporter_kit.other_process import digest_of, is_importable

SIDE_EFFECTS = {
    "reports-unchanged": "reports and dissections are as they were afterwards",
    "prints-nothing": "nothing is printed to stdout, where the report may go",
    "writes-nothing": "no file is written: the host writes, as a whole or not at all",
    "figures-closed": "no figure of pyplot is left open",
}


def _has_no_side_effect(check: str, case: ReporterCase) -> None:
    case.make_all()
    problems = case.side_effects.get(check, [])
    require(not problems, "; ".join(problems[:3]))


def same_in_other_process(case: ReporterCase) -> None:
    """Require the same content in a process with another order of sets."""
    content = case.content("several-layers")
    require(
        case.other_process.get().digest == digest_of(content),
        "gave something else in another process: leave out hash(), id(), and the order of sets",
    )


def needs_no_torch(case: ReporterCase) -> None:
    """Require that torch is not imported to report numbers."""
    require(
        not case.other_process.get().imports_torch,
        "imported torch, which takes seconds and which nd report does without",
    )


def _can_be_imported(case: ReporterCase) -> bool:
    return is_importable(case.reporter)


RULES = (
    *(
        Rule(name, statement, partial(_has_no_side_effect, name))
        for name, statement in SIDE_EFFECTS.items()
    ),
    Rule(
        "other-process",
        "another process gives the same bytes; of functions of a module only",
        same_in_other_process,
        _can_be_imported,
    ),
    Rule(
        "needs-no-torch",
        "layers without pictures are reported without torch; of functions of a module only",
        needs_no_torch,
        _can_be_imported,
    ),
)
