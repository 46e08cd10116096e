"""Expressions that texts of concept sets are parsed into: sets, and what is done with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nd_plugin.concepts.combine.selection import Selection


@dataclass(frozen=True)
class Source:
    """Text of one concept set, which a plugin opens."""

    text: str


@dataclass(frozen=True)
class Selected:
    """Part of a set: ``SET[object,split=val]``."""

    operand: Expression
    selection: Selection


@dataclass(frozen=True)
class Overlaid:
    """Annotations of the same images in two sets: ``a+b``."""

    first: Expression
    second: Expression


@dataclass(frozen=True)
class Coloured:
    """Set with the colour of each pixel as a further category: ``SET+color?table=FILE.npy``."""

    operand: Expression
    table: str | None = None  # None: the table that is ours


@dataclass(frozen=True)
class Concatenated:
    """Images of several sets, one set after the other: ``concat(a, b)``."""

    operands: tuple[Expression, ...]


Expression = Source | Selected | Overlaid | Coloured | Concatenated


def sources_of(expression: Expression) -> Iterator[Source]:
    """Yield the sets that an expression names, in its order."""
    match expression:
        case Source():
            yield expression
        case Selected() | Coloured():
            yield from sources_of(expression.operand)
        case Overlaid():
            yield from sources_of(expression.first)
            yield from sources_of(expression.second)
        case Concatenated():
            for operand in expression.operands:
                yield from sources_of(operand)
