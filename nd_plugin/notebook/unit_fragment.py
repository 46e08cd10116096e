"""One unit in notebooks: label, next concepts, activations, top images beside the annotation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nd_plugin.notebook.fragments import rendered, thumbnail, top_thumbnail
from nd_plugin.report.colours import category_colours
from nd_plugin.report.error_bars.texts import unit_lines
from nd_plugin.report.terminal import STATES
from nd_plugin.site.explanation_page import ConceptScore, next_concepts
from nd_plugin.site.top_images import NO_PICTURES, TopImage, top_images

if TYPE_CHECKING:
    from nd_plugin.report.layer_report import UnitScore
    from nd_plugin.results.dissection import Dissection

TOP_IMAGES = 5
SIDE = 128  # pixels, of pictures
PICTURES = 24  # most of one output: about 6 kB each
BARS = 64  # of the histogram, at most
NO_HISTOGRAM = (
    "The run has no histogram of activations: an earlier nd_plugin made it."
)


@dataclass(frozen=True)
class ConceptBar:
    """Concept that the unit overlaps, as a row with a bar."""

    concept: ConceptScore
    colour: str
    length: float  # 0 to 100


@dataclass(frozen=True)
class HistogramBar:
    """Bar of a histogram of activations."""

    height: float  # 0 to 100, of log(1 + count)
    is_above: bool  # whether it ends above T_k


@dataclass(frozen=True)
class Histogram:
    """Activations of the unit in a sample of cells."""

    bars: tuple[HistogramBar, ...]
    lowest: float
    highest: float


@dataclass(frozen=True)
class TopPair:
    """Top image with the unit's mask, and with the annotation of its label."""

    image: TopImage
    source: str
    annotation: str  # data URI; "" where the image does not carry the label


def unit_html(dissection: Dissection, unit: int, images: int = TOP_IMAGES) -> str:
    """Return a piece of HTML on one unit, for notebooks; every text is escaped.

    It shows ``images`` top images, as long as that is small. Raises BadInput for a unit that the
    layer has not.
    """
    dissection.check_unit(unit)
    label = int(dissection.labels[unit])
    score = dissection.unit_score(unit, label)
    colours = category_colours(dissection.categories)
    shown = min(images, PICTURES // 2)
    return rendered(
        "unit.html",
        dissection=dissection,
        score=score,
        colour=colours[score.category],
        state=STATES.get(score.state, ""),
        bars=_concept_bars(dissection, score, colours),
        histogram=_histogram(dissection, unit),
        pairs=_pairs(dissection, score, label, shown),
        unshown=images - shown,
        side=SIDE,
        remarks=_remarks(dissection),
        error_bars=unit_lines(dissection, unit),
    )


def _remarks(dissection: Dissection) -> list[str]:
    remarks = []
    if dissection.pictures is None:
        remarks.append(NO_PICTURES)
    if dissection.histograms is None:
        remarks.append(NO_HISTOGRAM)
    return remarks


def _concept_bars(
    dissection: Dissection, score: UnitScore, colours: dict[str, str]
) -> list[ConceptBar]:
    """Return the label and the concepts that follow it; none where the unit overlaps none."""
    if not score.overlaps:
        return []
    label = ConceptScore(score.concept, score.category, score.iou)
    return [
        ConceptBar(
            concept, colours[concept.category], 100 * concept.iou / score.iou
        )
        for concept in (label, *next_concepts(dissection, score.unit))
    ]


def _histogram(dissection: Dissection, unit: int) -> Histogram | None:
    histogram = dissection.histogram(unit)
    if histogram is None:
        return None
    counts, edges = histogram
    bins_of_bar = math.ceil(len(counts) / BARS)
    starts = np.arange(0, len(counts), bins_of_bar)
    heights = np.log1p(np.add.reduceat(counts, starts))
    ends = edges[np.minimum(starts + bins_of_bar, len(counts))]
    tallest = float(heights.max()) or 1.0
    is_above = ends > dissection.thresholds[unit]
    bars = [
        HistogramBar(100 * height / tallest, above)
        for height, above in zip(heights.tolist(), is_above.tolist(), strict=True)
    ]
    return Histogram(tuple(bars), float(edges[0]), float(edges[-1]))


def _pairs(
    dissection: Dissection, score: UnitScore, label: int, most: int
) -> list[TopPair]:
    return [
        _pair(dissection, image, score, label)
        for image in top_images(dissection, score.unit, most)
    ]


def _pair(
    dissection: Dissection, image: TopImage, score: UnitScore, label: int
) -> TopPair:
    annotation = ""
    pictures = dissection.pictures
    if pictures is not None and score.overlaps:
        mask = pictures.concept_mask(image.number, label)
        if mask.any():
            pixels = np.asarray(pictures.picture(image.number))
            annotation = thumbnail(pixels, mask, SIDE)
    return TopPair(image, top_thumbnail(image, SIDE), annotation)
