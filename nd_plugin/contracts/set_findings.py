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
