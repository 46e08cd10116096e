"""Frame of the conformance kits: named checks, run one by one, and what they found together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nd_plugin.foreign_code import describe_error, is_failure


@dataclass(frozen=True)
class Check:
    """One check of a plugin, which a test may run on its own."""

    name: str  # short, such as "rows-before-columns"
    statement: str  # what holds in a plugin that keeps the contract
    run: Callable[[], None]  # raises AssertionError where it does not

    def __call__(self) -> None:
        """Run the check. Raises AssertionError, saying what does not hold."""
        self.run()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class BrokenCheck:
    """A check that does not hold, and what was found instead."""

    name: str
    statement: str
    problem: str


class ConformanceError(AssertionError):
    """Every check of a plugin that does not hold."""

    def __init__(self, subject: str, broken: Sequence[BrokenCheck]) -> None:
        self.broken: tuple[BrokenCheck, ...] = tuple(broken)
        lines = [f"{subject} breaks its contract:"]
        for check in broken:
            lines.append(f"  {check.name}: {check.problem} ({check.statement})")
        super().__init__("\n".join(lines))


def run_checks(subject: str, checks: Iterable[Check]) -> None:
    """Run all checks. Raises ConformanceError with all that do not hold."""
    broken = list(broken_checks(checks))
    if broken:
        raise ConformanceError(subject, broken)


def broken_checks(checks: Iterable[Check]) -> Iterable[BrokenCheck]:
    """Iterate over the checks that do not hold; whatever a plugin raises is one that does not."""
    for check in checks:
        try:
            check()
        except BaseException as error:  # third-party code
            if not is_failure(error):
                raise
            problem = str(error)
            if not isinstance(error, AssertionError):
                problem = f"raised {describe_error(error)}"
            yield BrokenCheck(check.name, check.statement, problem)
