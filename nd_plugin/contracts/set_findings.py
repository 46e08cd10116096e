"""Findings of ``nd concepts check``: what is wrong with a concept set, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SetFinding:
    """Fault of a concept set."""

    rule: str  # short name of what was checked, such as "mask-aspect"
    file: str  # path below the set's root, with a line where there is one: "index.csv:12"
    problem: str
    remedy: str
    # False for what a set may have on purpose, such as a concept with few samples
    is_error: bool = True


@dataclass(frozen=True)
class TableRule:
    """Identity that the tables of a set have to fulfil, and where they do not."""

    rule: str  # short name, such as "code-frequency"
    statement: str  # what holds in sound tables
    compared: int  # values that were compared
    findings: tuple[SetFinding, ...] = ()  # one for each value that differs
    reason: str = ""  # why nothing could be compared
