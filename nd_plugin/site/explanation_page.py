"""Page of explanations: the image, and the units behind an output with their masks and top images.

One file that holds everything: pictures stand in it as data, and it has no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from nd_plugin.report.explanation_record import ExplanationRecord, RankedUnit
from nd_plugin.report.explanations import facts, sentences
from nd_plugin.report.mask_overlays import data_uri
from nd_plugin.site.mask_paths import region
from nd_plugin.site.pages import page
from nd_plugin.site.top_images import NO_PICTURES, TopImage, top_images

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

TOP_IMAGES = 5  # of a unit
NEXT_CONCEPTS = 3  # of a unit, besides its label
FEWEST_DIGITS = 0.0001  # IoU below which a concept is not worth a line


@dataclass(frozen=True)
class ConceptScore:
    """Concept and its IoU with a unit."""

    name: str
    category: str
    iou: float


@dataclass(frozen=True, eq=False)
class UnitCard:
    """Unit as a page shows it."""

    unit: RankedUnit
    region: Markup  # SVG over the image
    length: float  # of the bar of its contribution, 0 to 100
    next_concepts: tuple[ConceptScore, ...]  # best first, without its label
    top: tuple[TopImage, ...]


@dataclass(frozen=True, eq=False)
class ExplanationSection:
    """Explanation as a page shows it."""

    record: ExplanationRecord
    source: str  # the image, as a data URI
    facts: dict[str, str]
    sentences: tuple[str, ...]
    cards: tuple[UnitCard, ...]
    remark: str  # why there are no top images; "" where there are


def explanation_page(records: Sequence[ExplanationRecord]) -> str:
    """Return a page of one or several explanations; every text is escaped."""
    sections = [explanation_section(record) for record in records]
    categories = _categories(sections)
    names = list(dict.fromkeys(record.name for record in records))
    return page(
        "explanation.html",
        f"Explanation: {', '.join(names)}" if names else "Explanations",
        categories=categories,
        sections=sections,
        category_numbers={name: index for index, name in enumerate(categories)},
    )


def _categories(sections: Sequence[ExplanationSection]) -> list[str]:
    """Return the categories of all units and concepts of a page."""
    names: dict[str, None] = {}
    for section in sections:
        for card in section.cards:
            concepts = [concept.category for concept in card.next_concepts]
            names.update(dict.fromkeys([card.unit.category, *concepts]))
    return [name for name in names if name]


def explanation_section(record: ExplanationRecord) -> ExplanationSection:
    """Return what a page shows of an explanation."""
    largest = max((abs(unit.contribution) for unit in record.units), default=0.0)
    dissection = record.dissection
    has_pictures = dissection is not None and dissection.pictures is not None
    return ExplanationSection(
        record=record,
        source=data_uri(record.image),
        facts=facts(record),
        sentences=tuple(sentences(record)),
        cards=tuple(_card(unit, largest, dissection) for unit in record.units),
        remark="" if has_pictures or dissection is None else NO_PICTURES,
    )


def _card(
    unit: RankedUnit, largest: float, dissection: Dissection | None
) -> UnitCard:
    top: list[TopImage] = []
    concepts: list[ConceptScore] = []
    if dissection is not None:
        top = top_images(dissection, unit.unit, TOP_IMAGES)
        concepts = next_concepts(dissection, unit.unit)
    length = 100 * abs(unit.contribution) / largest if largest else 0.0
    return UnitCard(unit, region(unit.mask), length, tuple(concepts), tuple(top))


def next_concepts(dissection: Dissection, unit: int) -> list[ConceptScore]:
    """Return the concepts that a unit overlaps most behind its label, best first."""
    ious = dissection.iou[unit]
    order = np.argsort(-ious, kind="stable").tolist()
    label = int(dissection.labels[unit])
    numbers = [
        number
        for number in order
        if number != label and ious[number] > FEWEST_DIGITS
    ]
    scores = []
    for number in numbers[:NEXT_CONCEPTS]:
        concept = dissection.concepts[number]
        score = ConceptScore(concept.name, concept.category, float(ious[number]))
        scores.append(score)
    return scores
