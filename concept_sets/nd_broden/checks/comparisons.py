"""Comparisons of figures in tables, whose outcome is a `TableRule`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nd_plugin import SetFinding, TableRule
from nd_plugin.reading import place_of

RECOUNT = "correct the figure, or count the tables again, all of them together"


@dataclass
class Comparison:
    """Comparisons that one rule makes."""

    root: Path
    rule: str
    statement: str
    remedy: str = RECOUNT
    compared: int = 0
    findings: list[SetFinding] = field(default_factory=list)

    def expect(self, holds: bool, position: str, problem: str) -> None:
        """Count a comparison; where it does not hold, ``problem`` says what is wrong."""
        self.compared += 1
        if not holds:
            self.fail(position, problem)

    def fail(self, position: str, problem: str) -> None:
        """Add the finding of a comparison that is counted already."""
        place = place_of(position, self.root)
        self.findings.append(SetFinding(self.rule, place, problem, self.remedy))

    def result(self, reason: str = "") -> TableRule:
        """Return the rule; ``reason`` says why nothing was compared."""
        if self.compared:
            reason = ""
        return TableRule(
            self.rule, self.statement, self.compared, tuple(self.findings), reason
        )


def shown(number: float | None) -> str:
    """Return a figure as a message has it."""
    return "none" if number is None else f"{number:g}"
