"""Concept sets of parsed expressions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nd_plugin.concepts.combine.concatenated_set import ConcatenatedConcepts
from nd_plugin.concepts.combine.expressions import (
    Coloured,
    Concatenated,
    Expression,
    Overlaid,
    Selected,
    Source,
)
from nd_plugin.concepts.combine.overlaid_set import OverlaidConcepts
from nd_plugin.concepts.combine.selected_set import SelectedConcepts
from nd_plugin.contracts.concept_sets import ConceptSet

Opener = Callable[[str], ConceptSet]


def build(expression: Expression, open_source: Opener) -> ConceptSet:
    """Open the sources of an expression by ``open_source``, and combine them as it says.

    Raises ConceptSetInvalid for sets that cannot be combined so.
    """
    match expression:
        case Source(text):
            return open_source(text)
        case Selected(operand, selection):
            return SelectedConcepts(build(operand, open_source), selection)
        case Overlaid(first, second):
            first_set = build(first, open_source)
            return OverlaidConcepts(first_set, build(second, open_source))
        case Coloured(operand, table):
            return _with_colours(build(operand, open_source), table)
        case Concatenated(operands):
            parts = [build(operand, open_source) for operand in operands]
            return ConcatenatedConcepts(parts)


def _with_colours(concepts: ConceptSet, table: str | Path | None) -> ConceptSet:
    from nd_plugin.concepts.colours.coloured_set import with_colours

    return with_colours(concepts, table)
