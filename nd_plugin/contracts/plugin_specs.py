"""Light descriptions of plugins, readable without importing anything heavy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BackendSpec:
    """What a backend plugin says of itself without importing anything heavy."""

    name: str
    summary: str
    factory: str  # "package.module:Class", called without arguments
    match: Callable[[Any], int]  # 0: not mine; the highest match opens the model
    accepts: tuple[
        str, ...
    ] = ()  # what to type, for help and errors: "torchvision:NAME", "FILE.onnx"
    doctor: str = ""  # "package.module:function": what this machine offers the backend, a sequence of `Finding`


@dataclass(frozen=True)
class Finding:
    """One line of ``nd doctor``: what was looked at, what was found, and what to do where that is not well."""

    subject: str
    found: str
    remedy: str = ""  # empty: it is well


@dataclass(frozen=True)
class ConceptSetSpec:
    """What a concept-set plugin says of itself without importing anything heavy.

    A text ``name:argument?key=value`` calls the factory as ``factory(argument, key=value)``; a text of another form
    may be claimed by ``match``, and is then given whole as the argument.
    """

    name: str
    summary: str
    factory: str  # "package.module:Class"
    match: Callable[[str], int] | None = None  # beyond the name itself
    accepts: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReporterSpec:
    """A way to write a report: ``factory`` names a function ``(Sequence[LayerReport]) -> str``."""

    name: str
    summary: str
    factory: str
