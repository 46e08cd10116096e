"""Faults as findings, collected in place of the errors that opening a set raises."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nd_plugin.contracts.plugin_specs import SetFinding
from nd_plugin.errors import NDError
from nd_plugin.pictures.masks import UnfitMask
from nd_plugin.pictures.png_checksums import DamagedPicture

LINE_OF_FILE = re.compile(r"(?P<file>.*), line (?P<line>[0-9]+)", re.DOTALL)


@dataclass
class FindingList:
    """Findings of the set in ``root``, as its tables report them: it is a `TableReport`.

    ``make`` returns the finding of a rule, a place and a problem.
    """

    root: Path
    make: Callable[[str, str, str], SetFinding]
    findings: list[SetFinding] = field(default_factory=list)

    def __call__(self, rule: str, position: str, message: str) -> None:
        """Add a fault; ``position`` is a file, with a line where it ends in ``, line N``."""
        problem = message.removeprefix(f"{position}: ")
        self.findings.append(
            self.make(rule, place_of(position, self.root), problem)
        )


def place_of(position: str, root: Path) -> str:
    """Return ``index.csv:12`` for ``ROOT/index.csv, line 12``, ``index.csv`` for the file alone."""
    match = LINE_OF_FILE.fullmatch(position)
    path = match["file"] if match else position
    name = path.removeprefix(str(root)).lstrip("/\\")
    return f"{name}:{match['line']}" if match else name


def rule_of_unreadable(error: Exception, kind: str) -> str:
    """Return the rule that a file breaks whose reading has raised ``error``.

    ``kind`` is image or mask. Raises the error where it says nothing of the file.
    """
    if isinstance(error, NDError | MemoryError):
        raise error
    if isinstance(error, DamagedPicture):
        return "mask-checksum"
    return "mask-format" if isinstance(error, UnfitMask) else f"unreadable-{kind}"
