"""Blocks of data of one layer, which the script of a page reads, all numbers and texts.

``LAYER`` (see `layer_block`) stands in the page itself. The others are read when they are shown:

- ``LAYER-images``: names, files, sizes and concepts of the images that the others name
- ``LAYER-units-N``: top images, activation masks and concepts of 64 units, by their IoU,
  as a page shows them first
- ``LAYER-labels-N``: the annotations of 32 images
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nd_plugin.report.layer_report import LayerReport
from nd_plugin.site.concept_scores import DIGITS, LEVEL, ConceptScores
from nd_plugin.site.error_bar_block import error_bar_block
from nd_plugin.site.image_columns import (
    PictureFiles,
    annotation_columns,
    picture_columns,
)
from nd_plugin.site.packing import Mask, pack_masks

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection
    from nd_plugin.results.top_pictures import TopPictures

UNITS_IN_BLOCK = 64
IMAGES_IN_BLOCK = 32
NAMES_LISTED = 15  # of a unit's top images, where there are no pictures
NOT_KNOWN = -1  # lit pixels of a mask that cannot be drawn


@dataclass(frozen=True)
class LayerBlocks:
    """Blocks of a layer; ``name`` is ``layer-1``, ``layer-2`` …."""

    name: str
    title: str  # the layer's name, and its quantile where a run has several
    report: LayerReport
    scores: ConceptScores
    order: tuple[int, ...]  # (rank,) units, best first

    @classmethod
    def of(cls, number: int, report: LayerReport, title: str = "") -> LayerBlocks:
        """Return the blocks of a run's N-th layer, counted from 1; the title is its name."""
        keys = [report.sort_key(score) for score in report.scores]
        order = np.argsort(keys, kind="stable").tolist()
        return cls(
            name=f"layer-{number}",
            title=title or report.layer,
            report=report,
            scores=ConceptScores.of(report),
            order=tuple(order),
        )

    @property
    def pictures(self) -> TopPictures | None:
        """Pictures of the layer's top images; None if the run took none."""
        dissection = self.report.dissection
        return None if dissection is None else _pictures_of(dissection)

    def layer_block(self, categories: Sequence[str]) -> dict[str, Any]:
        """Return what the page shows first: the units and their labels.

        ``categories`` are those of the page, whose numbers concepts have.
        """
        report = self.report
        numbers = {name: index for index, name in enumerate(categories)}
        return {
            "id": self.name,
            "name": self.title,
            "categories": categories,
            "concepts": [
                (name, numbers.get(category, -1))
                for name, category in self.scores.concepts
            ],
            "minIou": report.min_iou,
            "level": LEVEL,
            "order": self.order,
            "unitsInBlock": UNITS_IN_BLOCK,
            "firstUnit": report.first_unit_in_source,
            "isRun": report.dissection is not None,
            "hasPictures": self.pictures is not None,
            "units": self._unit_columns() | error_bar_block(report),
            "others": self._other_matches(),
        }

    def _unit_columns(self) -> dict[str, Any]:
        """Return what is known of each unit's label, a list for each quantity; (unit,)."""
        scores = self.report.scores
        return {
            "label": self.scores.labels,
            "iou": [_rounded(score.iou) for score in scores],
            "threshold": [_short(score.threshold) for score in scores],
            "detector": [int(score.detector) for score in scores],
            "state": [score.state for score in scores],
            "intersection": [score.intersection for score in scores],
            "unitArea": [score.unit_area for score in scores],
            "conceptArea": [score.concept_area for score in scores],
        }

    def _other_matches(self) -> list[tuple[int, int, float]]:
        """Return unit, concept and IoU of matches like a detector's that are no labels."""
        triples = []
        for unit, matches in enumerate(self.scores.matches):
            for concept, iou in matches:
                is_label = concept == self.scores.labels[unit]
                if not is_label and iou > self.report.min_iou:
                    triples.append((unit, concept, _rounded(iou)))
        return triples

    def unit_blocks(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the blocks of units, with their names."""
        for number, units in enumerate(_groups(self.order, UNITS_IN_BLOCK)):
            block: dict[str, Any] = {
                "units": units,
                "concepts": [_flat(self.scores.matches[unit]) for unit in units],
            }
            if self.report.dissection is not None:
                block |= _top_image_columns(self.report.dissection, units)
            yield f"{self.name}-units-{number}", block

    def images_block(self, files: PictureFiles) -> tuple[str, dict[str, Any]]:
        """Return the block of images, and add their pictures to ``files``."""
        dissection = self.report.dissection
        block: dict[str, Any] = {}
        if dissection is not None:
            shown = _shown_images(dissection)
            block["names"] = {
                image: dissection.image_names[image] for image in shown
            }
        if self.pictures is not None:
            block["imagesInBlock"] = IMAGES_IN_BLOCK
            block["pictures"] = picture_columns(self.pictures, files)
        return f"{self.name}-images", block

    def label_blocks(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the blocks of annotations, with their names."""
        if self.pictures is None:
            return
        images = self.pictures.images.tolist()
        for number, group in enumerate(_groups(images, IMAGES_IN_BLOCK)):
            yield (
                f"{self.name}-labels-{number}",
                annotation_columns(self.pictures, group),
            )


def _pictures_of(dissection: Dissection) -> TopPictures | None:
    """Return the pictures of a layer; None where a budget has left none, too."""
    return dissection.pictures or None


def _shown_images(dissection: Dissection) -> list[int]:
    """Return the images that a page names, ascending."""
    ranks = _ranks_shown(dissection)
    shown = set(np.unique(dissection.top_images[:, :ranks]).tolist())
    return sorted(shown)


def _ranks_shown(dissection: Dissection) -> int:
    pictures = _pictures_of(dissection)
    return NAMES_LISTED if pictures is None else pictures.units_top


def _top_image_columns(
    dissection: Dissection, units: Sequence[int]
) -> dict[str, Any]:
    """Return the top images of units: images, largest activations, lit pixels, masks."""
    ranks = _ranks_shown(dissection)
    columns: dict[str, Any] = {"images": [], "peaks": [], "histograms": []}
    for unit in units:
        activations = dissection.top_activations[unit, :ranks].tolist()
        columns["images"].append(dissection.top_images[unit, :ranks].tolist())
        columns["peaks"].append([_short(value) for value in activations])
        columns["histograms"].append(_histogram(dissection, unit))
    if _pictures_of(dissection) is not None:
        columns |= _mask_columns(dissection, units)
    return columns


def _mask_columns(dissection: Dissection, units: Sequence[int]) -> dict[str, Any]:
    """Return the lit pixels of units in each of their top images, and the masks."""
    drawn: list[Mask] = []
    lit = []
    for unit in units:
        masks = dissection.activation_masks(unit)
        lit.append([_lit_pixels(mask) for mask in masks])
        drawn += [mask for mask in masks if mask is not None]
    return {"lit": lit, "masks": pack_masks(drawn)}


def _lit_pixels(mask: Mask | None) -> int:
    return NOT_KNOWN if mask is None else int(mask.sum())


def _histogram(dissection: Dissection, unit: int) -> dict[str, Any] | None:
    histogram = dissection.histogram(unit)
    if histogram is None:
        return None
    counts, edges = histogram
    return {
        "counts": np.asarray(counts).tolist(),
        "edges": [_short(edge) for edge in np.asarray(edges).tolist()],
    }


def _groups(items: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _flat(pairs: Any) -> list[Any]:
    """Return a list of concept, value, concept, value …; IoU rounded."""
    flat: list[Any] = []
    for concept, value in pairs:
        flat += [concept, _rounded(value) if isinstance(value, float) else value]
    return flat


def _rounded(iou: float) -> float:
    return round(iou, DIGITS)


def _short(value: float | None) -> float | str | None:
    """Return an activation with four digits; JSON has no infinity, so that comes as a text."""
    if value is None:
        return None
    short = float(f"{value:.4g}")
    return short if np.isfinite(short) else f"{value:.4g}"
