"""Frame of the conformance kits: named checks, run one by one, and what they found together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar
from unittest import SkipTest

from nd_plugin.foreign_code import describe_error, is_failure

Subject = TypeVar("Subject")


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


def _always(_: object) -> bool:
    return True


@dataclass(frozen=True)
class Rule(Generic[Subject]):
    """Rule of a contract, from which the checks of every plugin are made."""

    name: str
    statement: str
    test: Callable[[Subject], None]  # raises AssertionError where it does not hold
    # whether it says something of this subject, known before anything is opened
    applies: Callable[[Subject], bool] = _always

    def check_of(self, subject: Subject) -> Check:
        """Return the rule as a check of a subject."""
        return Check(self.name, self.statement, partial(self.test, subject))


def checks_of(rules: Iterable[Rule[Subject]], subject: Subject) -> list[Check]:
    """Return the checks of a subject by all rules that apply to it."""
    return [rule.check_of(subject) for rule in rules if rule.applies(subject)]


class Unchecked(SkipTest):
    """A check that cannot be run, as what another check looks at does not hold.

    pytest shows its test as skipped.
    """


def require(holds: object, problem: str) -> None:
    """Raise AssertionError with the problem, unless something holds; under ``python -O``, too."""
    if not holds:
        raise AssertionError(problem)


@dataclass(frozen=True)
class BrokenCheck:
    """A check that does not hold, and what was found instead."""

    name: str
    statement: str
    problem: str
    # the check could not be run, as what another one looks at does not hold
    is_unchecked: bool = False


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
    causes = [check for check in broken if not check.is_unchecked]
    if broken:
        raise ConformanceError(subject, causes or broken)


def broken_checks(checks: Iterable[Check]) -> Iterable[BrokenCheck]:
    """Iterate over the checks that do not hold; whatever a plugin raises is one that does not."""
    for check in checks:
        try:
            check()
        except BaseException as error:  # third-party code
            if not is_failure(error):
                raise
            problem = str(error)
            if not isinstance(error, AssertionError | Unchecked):
                problem = f"raised {describe_error(error)}"
            is_unchecked = isinstance(error, Unchecked)
            yield BrokenCheck(check.name, check.statement, problem, is_unchecked)
