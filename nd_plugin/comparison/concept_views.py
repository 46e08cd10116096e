"""Concepts of a comparison as pages show them: each layer's best units with their top images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.comparison.concept_matches import (
    ComparedConcept,
    ConceptKey,
    ConceptMatch,
    UnitMatch,
)
from nd_plugin.report.terminal import plural
from nd_plugin.site.top_images import NO_PICTURES, TopImage, top_images

SourceOf = Callable[[TopImage], str]
FILE_WITHOUT_PICTURES = "A NetDissect CSV file holds no pictures."
TOO_MANY_PICTURES = (
    "Too many pictures for one file: a folder (--html DIR) has them."
)


@dataclass(frozen=True)
class Amounts:
    """Number of units and of pictures that a page shows of a concept in one layer."""

    units: int
    pictures: int  # of a unit


@dataclass(frozen=True)
class StillPicture:
    """Top image with its region, as a page shows it."""

    source: str
    region: Markup
    alt: str


@dataclass(frozen=True)
class UnitView:
    """Unit that matches a concept, with its top images."""

    match: UnitMatch
    href: str  # page of the unit in its run's report; "" for none
    label: str  # what it detects instead of the concept; "" for nothing else
    pictures: tuple[StillPicture, ...]


@dataclass(frozen=True)
class ConceptCell:
    """Concept in one layer."""

    layer: ComparedLayer
    match: ConceptMatch
    summary: str
    href: str  # page of the concept in the layer's own report; "" for none
    length: float  # of a bar, 0 to 100: IoU of the best unit
    units: tuple[UnitView, ...]
    beyond: int  # units that detect it and are not shown
    remark: str  # why there are no pictures; "" where there are


@dataclass(frozen=True)
class ConceptView:
    """Concept as a row of a table, and as a page of its own."""

    number: int  # counted from 1
    concept: ComparedConcept
    category: int  # index of its category in the comparison
    group: str  # "all", "several" or "only-N", N the layer's index
    cells: tuple[ConceptCell, ...]

    @property
    def href(self) -> str:
        """Name of its page, relative to the comparison's."""
        return f"concepts/{self.number}.html"


@dataclass(frozen=True)
class CellMaker:
    """Maker of cells, for one kind of page."""

    layer: ComparedLayer
    layer_href: str  # "" where the layer has no report beside the comparison
    longest: float  # IoU that is as wide as a bar
    amounts: Amounts
    source_of: SourceOf

    def cell(self, concept: ComparedConcept, match: ConceptMatch) -> ConceptCell:
        """Return what a page shows of a concept in the layer."""
        best = match.best
        shown = match.detectors[: self.amounts.units]
        if not match.detectors and match.nearest is not None:
            shown = (match.nearest,)
        length = 100 * best.iou / self.longest if best and self.longest else 0.0
        return ConceptCell(
            layer=self.layer,
            match=match,
            summary=summary_of(match),
            href=self._concept_href(concept),
            length=length,
            units=tuple(self._unit_view(unit, match) for unit in shown),
            beyond=max(0, len(match.detectors) - len(shown)),
            remark=self._remark(),
        )

    def _concept_href(self, concept: ComparedConcept) -> str:
        """Return the address of a concept in the report of a run, which numbers its concepts."""
        number = self._concept_numbers.get(concept.key)
        if number is None or not self.layer_href:
            return ""
        return f"{self.layer_href}/concept-{number}"

    @cached_property
    def _concept_numbers(self) -> dict[ConceptKey, int]:
        dissection = self.layer.dissection
        concepts = () if dissection is None else dissection.concepts
        return {
            (concept.category, concept.name): number
            for number, concept in enumerate(concepts)
        }

    def _unit_view(self, unit: UnitMatch, match: ConceptMatch) -> UnitView:
        href = f"{self.layer_href}/unit-{unit.unit}" if self.layer_href else ""
        label = self._labels[unit.unit]
        return UnitView(
            match=unit,
            href=href,
            label="" if match.detectors else label,
            pictures=self._pictures(unit.unit),
        )

    @cached_property
    def _labels(self) -> dict[int, str]:
        """Concept that each unit detects, "" for none."""
        return {
            score.unit: score.concept if score.detector else ""
            for score in self.layer.report.scores
        }

    def _pictures(self, unit: int) -> tuple[StillPicture, ...]:
        dissection = self.layer.dissection
        if dissection is None or not self.amounts.pictures:
            return ()
        return tuple(
            StillPicture(self.source_of(image), image.region, image.alt)
            for image in top_images(dissection, unit, self.amounts.pictures)
        )

    def _remark(self) -> str:
        dissection = self.layer.dissection
        if dissection is None:
            return FILE_WITHOUT_PICTURES
        if dissection.pictures is None:
            return NO_PICTURES
        return "" if self.amounts.pictures else TOO_MANY_PICTURES


def summary_of(match: ConceptMatch) -> str:
    """Return in words how many units detect a concept, or why none does."""
    count = len(match.detectors)
    if count:
        return f"{count} {plural(count, 'unit')}"
    if match.nearest is not None:
        return "nearest unit, not a detector of it"
    return match.reason


def group_of(concept: ComparedConcept) -> str:
    """Return which layers detect a concept: "all", "several", or "only-N" for layer N."""
    if concept.is_shared:
        return "all"
    layers = concept.detecting_layers
    return f"only-{layers[0]}" if len(layers) == 1 else "several"
