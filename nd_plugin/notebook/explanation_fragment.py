"""Explanations in notebooks: the image, and the units behind an output with masks and concepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nd_plugin.notebook.fragments import THUMBNAILS, rendered, thumbnail
from nd_plugin.report.colours import FAINT, category_colour
from nd_plugin.report.explanation_record import ExplanationRecord, RankedUnit
from nd_plugin.report.explanations import facts, remarks

SIDE = 144  # pixels, of the image and its masks


@dataclass(frozen=True)
class UnitFigure:
    """Unit with its mask in the image."""

    unit: RankedUnit
    source: str  # "" where there are too many pictures
    colour: str


@dataclass(frozen=True)
class ExplanationBlock:
    """Explanation as a notebook shows it."""

    record: ExplanationRecord
    source: str  # of the image
    facts: dict[str, str]
    remarks: tuple[str, ...]
    units: tuple[UnitFigure, ...]


def explanations_fragment(records: Sequence[ExplanationRecord]) -> str:
    """Return a piece of HTML on explanations; every text is escaped.

    As many have pictures as keep the output small; the others are told in words.
    """
    blocks: list[ExplanationBlock] = []
    pictures = 0
    for record in records:
        pictures += 1 + len(record.units)
        is_small = not blocks or pictures <= THUMBNAILS
        blocks.append(_block(record, with_pictures=is_small))
    without = sum(not block.source for block in blocks)
    return rendered("explanations.html", explanations=blocks, without=without)


def _block(record: ExplanationRecord, *, with_pictures: bool) -> ExplanationBlock:
    source = thumbnail(record.image, None, SIDE) if with_pictures else ""
    return ExplanationBlock(
        record=record,
        source=source,
        facts=facts(record),
        remarks=tuple(remarks(record)),
        units=tuple(_figure(record, unit, with_pictures) for unit in record.units),
    )


def _figure(
    record: ExplanationRecord, unit: RankedUnit, with_pictures: bool
) -> UnitFigure:
    source = thumbnail(record.image, unit.mask, SIDE) if with_pictures else ""
    colour = category_colour(unit.category) if unit.category else FAINT
    return UnitFigure(unit, source, colour)
