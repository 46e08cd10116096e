"""Descriptions of plugins that can be read without importing torch or a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# What a reporter gives: a text; the bytes of a file, such as a PDF; a folder, as its files by path.
ReportContent = str | bytes | Mapping[str, str | bytes]


@dataclass(frozen=True)
class BackendSpec:
    """Description of a backend plugin."""

    name: str
    summary: str
    factory: str  # "package.module:Class", called without arguments
    match: Callable[[Any], int]  # 0 for no match; the highest match opens the model
    # forms, for help and errors: "torchvision:NAME", "FILE.onnx"
    accepts: tuple[str, ...] = ()
    # "package.module:function", returns `Finding`s about this machine
    doctor: str = ""
    # "package.module:function": ``(*, installed: bool) -> list[str]``, the texts of models that are
    # known by name, for suggestions and completion; imports nothing heavy
    known_models: str = ""
    # "package.module:function", called with an empty folder: makes a small model there, if it needs
    # files, and returns what the backend opens (``nd plugins --check``)
    example: str = ""


@dataclass(frozen=True)
class Finding:
    """Result of one check of ``nd doctor``."""

    subject: str  # what was checked
    found: str  # its state
    remedy: str = ""  # what to do; empty if nothing has to be done


@dataclass(frozen=True)
class SetFinding:
    """Fault of a concept set, found by ``nd concepts check``: what is wrong, where, what to do."""

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


@dataclass(frozen=True)
class ConceptSetSpec:
    """Description of a concept-set plugin.

    A text ``name:argument?key=value`` calls the factory as ``factory(argument, key=value)``. A text
    of any other form that ``match`` accepts is passed unchanged as the argument.
    """

    name: str
    summary: str
    factory: str  # "package.module:Class"
    # for texts that do not begin with the name
    match: Callable[[str], int] | None = None
    accepts: tuple[str, ...] = ()
    # "package.module:function", called as the factory is; yields a `SetFinding` for each fault of
    # the set's files, of sets that cannot be opened, too (``nd concepts check``)
    check: str = ""
    # "package.module:function", called as the factory is; yields a `TableRule` for each identity of
    # the set's tables, which needs no image (``nd concepts check --tables``)
    check_tables: str = ""
    # "package.module:function", called with an empty folder: makes a small set there, if it needs
    # files, and returns the text that opens it (``nd plugins --check``)
    example: str = ""


@dataclass(frozen=True)
class ReporterSpec:
    """Description of a report format.

    ``factory`` names a function ``(Sequence[LayerReport]) -> ReportContent``. A file whose name
    ends in one of ``endings`` is written in this format where no other is asked for. A format that
    gives a folder has none.
    """

    name: str
    summary: str
    factory: str
    endings: tuple[str, ...] = ()  # such as ".html"; the longest that fits decides
