"""Dissected layers in notebooks: counts, detectors by category with their top images, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nd_plugin.notebook.fragments import THUMBNAILS, rendered, top_thumbnail
from nd_plugin.report.colours import category_colours
from nd_plugin.report.error_bars.texts import (
    count_intervals,
    count_text,
    detectors_interval,
    error_bar_lines,
    range_text,
    unique_interval,
)
from nd_plugin.report.layer_report import LayerReport, UnitScore
from nd_plugin.site.top_images import NO_PICTURES, top_images

CONCEPTS = 4  # of a category
PICTURES = 3  # of a unit, at most
NOTES = 12  # lines


@dataclass(frozen=True)
class Picture:
    """Small picture with a description."""

    source: str
    alt: str


@dataclass(frozen=True)
class ConceptRow:
    """Concept, the unit that detects it best, and the number of units that detect it."""

    score: UnitScore
    units: int
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class CategoryBlock:
    """Category with its best detectors."""

    name: str
    colour: str
    unique: int
    units: int
    interval: str  # of the unique detectors; "" where the run has no folds
    length: float  # of the bar, 0 to 100
    rows: tuple[ConceptRow, ...]


@dataclass(frozen=True)
class LayerBlock:
    """Layer as a notebook shows it."""

    report: LayerReport
    unique: str  # number of unique detectors, with its interval
    detectors: str
    error_bars: tuple[str, ...]  # what intervals and chance level are
    categories: tuple[CategoryBlock, ...]
    misses: tuple[UnitScore, ...]  # of categories without detectors
    has_pictures: bool
    remark: str  # why there are no pictures; "" where there are


def layers_fragment(reports: Sequence[LayerReport]) -> str:
    """Return a piece of HTML on one layer or several; every text is escaped."""
    pictures = _pictures_of_unit(reports)
    blocks = [_layer_block(report, pictures) for report in reports]
    return rendered("layers.html", layers=blocks, most_notes=NOTES)


def _pictures_of_unit(reports: Sequence[LayerReport]) -> int:
    """Return how many pictures each unit may have, so that the output stays small."""
    rows = sum(
        len(report.best(category, CONCEPTS))
        for report in reports
        for category in report.categories
    )
    return min(PICTURES, THUMBNAILS // max(rows, 1))


def _layer_block(report: LayerReport, pictures: int) -> LayerBlock:
    dissection = report.dissection
    is_run = dissection is not None
    has_pictures = dissection is not None and dissection.pictures is not None
    misses = tuple(miss.score for miss in report.nearest_misses())
    return LayerBlock(
        report=report,
        unique=count_text(
            report.summary.unique_detectors, unique_interval(report), "–"
        ),
        detectors=count_text(
            report.summary.detectors, detectors_interval(report), "–"
        ),
        error_bars=tuple(error_bar_lines(report)),
        categories=tuple(_category_blocks(report, pictures)),
        misses=misses,
        has_pictures=has_pictures,
        remark=NO_PICTURES if is_run and not has_pictures else "",
    )


def _category_blocks(report: LayerReport, pictures: int) -> list[CategoryBlock]:
    unique = report.summary.unique_detectors_by_category
    units = report.summary.detectors_by_category
    longest = max(unique.values(), default=0)
    colours = category_colours(report.categories)
    blocks = []
    for category in report.categories:
        count = unique.get(category, 0)
        rows = [
            ConceptRow(score, number, unit_pictures(report, score.unit, pictures))
            for score, number in report.best(category, CONCEPTS)
        ]
        block = CategoryBlock(
            name=category,
            colour=colours[category],
            unique=count,
            units=units.get(category, 0),
            interval=_interval_text(report, category),
            length=100 * count / longest if longest else 0.0,
            rows=tuple(rows),
        )
        blocks.append(block)
    return blocks


def _interval_text(report: LayerReport, category: str) -> str:
    intervals = count_intervals(report)
    if intervals is None:
        return ""
    interval = intervals.unique_detectors_by_category.get(category)
    return "" if interval is None else range_text(interval, "–")


def unit_pictures(report: LayerReport, unit: int, most: int) -> tuple[Picture, ...]:
    """Return small pictures of a unit's top images; none for a layer without pictures."""
    if report.dissection is None:
        return ()
    images = top_images(report.dissection, unit, most)
    return tuple(Picture(top_thumbnail(image), image.alt) for image in images)
