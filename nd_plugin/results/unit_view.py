"""View of one unit: label, next concepts, activations and top images, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.borders.printable import Blocks, Printable
from nd_plugin.errors import BadInput
from nd_plugin.pictures.half_blocks import GAP, HalfBlocks, can_show_pictures
from nd_plugin.report.colours import WARNING, category_colours
from nd_plugin.report.elements import AdaptiveTable, Heading, histogram_text
from nd_plugin.report.error_bars.columns import unit_values
from nd_plugin.report.error_bars.texts import unit_lines
from nd_plugin.report.explanation_record import MaskPixels, Pixels
from nd_plugin.report.layer_report import UnitScore
from nd_plugin.report.mask_overlays import (
    TopImage,
    dim_outside,
    overlay,
    resized_mask,
)
from nd_plugin.report.terminal import STATES
from nd_plugin.site.top_images import NO_PICTURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nd_plugin.results.dissection import Dissection

NEXT_CONCEPTS = 4
TOP_IMAGES = 5
THUMBNAIL_CELLS = 24  # wide
CELL_ABOVE = (1, 0, 0, 0)  # padding
NO_HISTOGRAM = "no histogram of activations in this run (an earlier nd_plugin)"

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ConceptMatch:
    """Concept, and the IoU of a unit with it."""

    concept: str
    category: str
    iou: float


@dataclass(frozen=True, eq=False)
class UnitView:
    """One unit of a dissection: `Dissection.show`."""

    dissection: Dissection
    unit: int
    images: int = TOP_IMAGES  # number of top images that are shown

    @cached_property
    def score(self) -> UnitScore:
        """Label of the unit."""
        label = int(self.dissection.labels[self.unit])
        return self.dissection.unit_score(self.unit, label)

    @property
    def title(self) -> str:
        """Number of the unit, and its layer."""
        layer = self.dissection
        return f"{layer.layer}: unit {self.unit} of {layer.units}"

    @property
    def headline(self) -> str:
        """Label, IoU, and whether the unit is a detector."""
        score = self.score
        limit = self.dissection.settings.min_iou
        kind = "a detector" if score.detector else "no detector"
        label = f"{score.concept} ({score.category}), IoU {score.iou:.4f}"
        if not score.overlaps:
            label = "no concept that the unit's mask overlaps"
        return f"{label}: {kind} (IoU > {limit:g})"

    def next_concepts(self, most: int = NEXT_CONCEPTS) -> list[ConceptMatch]:
        """Return the concepts that match best after the label, best first; none without overlap."""
        iou = self.dissection.iou[self.unit]
        label = int(self.dissection.labels[self.unit])
        order = np.argsort(-iou, kind="stable")
        matches: list[ConceptMatch] = []
        for index in order[: most + 1].tolist():
            if index == label or not iou[index] > 0:
                continue
            concept = self.dissection.concepts[index]
            match = ConceptMatch(concept.name, concept.category, float(iou[index]))
            matches.append(match)
        return matches[:most]

    def top_images(self) -> list[TopImage]:
        """Return the unit's top images, most active first, with pictures where there are any."""
        top = self.dissection.top(self.unit, self.images)
        return [self._top_image(rank, *image) for rank, image in enumerate(top)]

    def _top_image(self, rank: int, name: str, activation: float) -> TopImage:
        pixels = self._pixels(rank, height=None)
        if pixels is None:
            return TopImage(name, activation, None, None)
        mask = self._mask(rank, pixels)
        return TopImage(name, activation, Image.fromarray(pixels), mask)

    def picture(self, rank: int, height: int | None = None) -> Pixels | None:
        """Return a top image with M_k outlined and the rest dimmed; None without a picture.

        It is scaled to ``height`` pixels, if that is given.
        """
        pixels = self._pixels(rank, height)
        if pixels is None:
            return None
        mask = self._mask(rank, pixels)
        return pixels if mask is None else overlay(pixels, mask)

    def _pixels(self, rank: int, height: int | None) -> Pixels | None:
        pictures = self.dissection.pictures
        if pictures is None or rank >= self.dissection.top_images.shape[1]:
            return None
        image = int(self.dissection.top_images[self.unit, rank])
        if image not in pictures:
            return None
        picture = pictures.picture(image)
        if height is not None:
            width = max(1, round(height * picture.width / picture.height))
            picture = picture.resize((width, height))
        return np.asarray(picture)

    def _mask(self, rank: int, pixels: Pixels) -> MaskPixels | None:
        """Return M_k of a top image at the size of its picture, by the nearest pixel."""
        mask = self.dissection.activation_mask(self.unit, rank)
        rows, columns = pixels.shape[:2]
        return None if mask is None else resized_mask(mask, rows, columns)

    def remarks(self) -> list[str]:
        """Return what is unusual of the unit, and what the run lacks."""
        remarks: list[str] = []
        state = self.score.state
        if state in STATES:
            remarks.append(f"{state}: {STATES[state]}")
        if self.dissection.histogram(self.unit) is None:
            remarks.append(NO_HISTOGRAM)
        if self.dissection.pictures is None:
            remarks.append(NO_PICTURES)
        stored = self.dissection.top_images.shape[1]
        if self.images > stored and self.dissection.images > stored:
            remarks.append(
                f"The run has the first {stored} of each unit's top images, not "
                f"{self.images}: dissect with --top-images {self.images} for more."
            )
        return remarks

    def content(self) -> dict[str, Any]:
        """Return all of this as plain values, for JSON; without pixels."""
        score = self.score
        histogram = self.dissection.histogram(self.unit)
        top = self.dissection.top(self.unit, self.images)
        return {
            "layer": self.dissection.layer,
            "unit": self.unit,
            "units": self.dissection.units,
            "concept": score.concept,
            "category": score.category,
            "iou": score.iou,
            "detector": score.detector,
            "min_iou": self.dissection.settings.min_iou,
            "threshold": score.threshold,
            "quantile": self.dissection.settings.quantile,
            "state": score.state,
            **unit_values(self.dissection, self.unit),
            "next_concepts": [asdict(match) for match in self.next_concepts()],
            "top_images": [
                {"image": name, "activation": activation}
                for name, activation in top
            ],
            "histogram": None if histogram is None else _plain(*histogram),
            "notes": self.remarks(),
        }

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw the unit's top images with their masks beside each other; return the figure.

        Raises BadInput where the run has no pictures of them.
        """
        # matplotlib takes a second to import
        from nd_plugin.plots.units import plot_unit

        axes = plot_unit(self.dissection, self.unit, ax, images=self.images)
        return cast("Figure", axes.figure)

    def __repr__(self) -> str:
        return f"UnitView({self.title}; {self.headline})"

    def _repr_html_(self) -> str:
        # notebooks alone need its templates
        from nd_plugin.notebook.unit_fragment import unit_html

        return unit_html(self.dissection, self.unit, self.images)

    def __rich__(self) -> RenderableType:
        return Printable(Blocks(self._blocks))

    def _blocks(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield Heading(Text(self.title, style="bold"))
        yield from self._facts()
        matches = self.next_concepts()
        if matches:
            yield Padding(self._next_table(matches), CELL_ABOVE)
        histogram = self.dissection.histogram(self.unit)
        if histogram is not None:
            colours = category_colours(self.dissection.categories)
            threshold = float(self.dissection.thresholds[self.unit])
            colour = colours[self.score.category]
            text = histogram_text(*histogram, threshold, colour)
            yield Padding(text, CELL_ABOVE)
        if can_show_pictures(console, options):
            thumbnails = self._thumbnails(options.max_width)
            if thumbnails:
                yield Padding(HalfBlocks(thumbnails), CELL_ABOVE)
        yield Padding(self._top_table(), CELL_ABOVE)
        remarks = [f"! {remark}" for remark in self.remarks()]
        if remarks:
            yield Padding(Text("\n".join(remarks), style=WARNING), CELL_ABOVE)

    def _facts(self) -> Iterator[RenderableType]:
        colours = category_colours(self.dissection.categories)
        colour = colours[self.score.category] if self.score.detector else ""
        yield Text(self.headline, style=f"bold {colour}")
        for line in unit_lines(self.dissection, self.unit):
            yield Text(line)
        quantile = self.dissection.settings.quantile
        threshold = f"{self.score.threshold:.4g}"
        yield Text(
            f"T_k {threshold}, exceeded by at most {quantile:.4g} of the cells"
        )

    def _next_table(self, matches: list[ConceptMatch]) -> AdaptiveTable:
        colours = category_colours(self.dissection.categories)
        rows = [
            (
                Text(match.concept),
                Text(match.category, style=colours[match.category]),
                Text(f"{match.iou:.4f}"),
            )
            for match in matches
        ]
        headers = ("next concepts", "category", "IoU")
        return AdaptiveTable(headers, tuple(rows), lead=0, right=(2,))

    def _top_table(self) -> AdaptiveTable:
        top = self.dissection.top(self.unit, self.images)
        rows = [(Text(name), Text(f"{activation:.4g}")) for name, activation in top]
        headers = ("top images", "activation")
        return AdaptiveTable(headers, tuple(rows), lead=0, right=(1,))

    def _thumbnails(self, width: int) -> list[Pixels]:
        """Return as many small pictures as fit, with the rest of each mask dimmed."""
        most = (width + GAP) // (THUMBNAIL_CELLS + GAP)
        pictures = (self._thumbnail(rank) for rank in range(min(most, self.images)))
        return [picture for picture in pictures if picture is not None]

    def _thumbnail(self, rank: int) -> Pixels | None:
        pixels = self._pixels(rank, height=None)
        if pixels is None:
            return None
        rows, columns = pixels.shape[:2]
        height = max(1, round(THUMBNAIL_CELLS * rows / columns))
        size = (THUMBNAIL_CELLS, min(height, 2 * THUMBNAIL_CELLS))
        small = np.asarray(Image.fromarray(pixels).resize(size))
        mask = self._mask(rank, small)
        return small if mask is None else dim_outside(small, mask)


def show_unit(dissection: Dissection, unit: int, images: int) -> UnitView:
    """Return the view of a unit. Raises BadInput for a unit or a number that makes no sense."""
    if isinstance(unit, bool) or not isinstance(unit, int | np.integer):
        raise BadInput(f"unit is {unit!r}; expected a unit's number")
    dissection.check_unit(int(unit))
    if images < 1:
        raise BadInput(f"images is {images}; expected 1 or more")
    return UnitView(dissection, int(unit), images)


def _plain(counts: Integers, edges: Floats) -> dict[str, Any]:
    return {"counts": counts.tolist(), "edges": edges.tolist()}
