"""First pass: which labels each image carries, and how much of it they cover.

At the masks' own sizes, as Broden counts them: a set of any size has the same labels and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.concepts.broden_layout.tally import count_pixels
from nd_plugin.concepts.union.labels.numbering import Amount
from nd_plugin.concepts.union.passes.reading import ImageReader, LoadedImage
from nd_plugin.concepts.union.passes.workspace import SURVEY, Progress, Workspace
from nd_plugin.concepts.union.sources import Source, Sources
from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.errors import Unreadable
from nd_plugin.pictures.stored_integers import strips_of

if TYPE_CHECKING:
    from nd_plugin.concepts.colours.colour_table import ColourTable

STAGE = "counting labels"
Plane = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class SurveyedImage:
    """Labels of an image, by their index among those of all sources; or why it is skipped."""

    labels: tuple[int, ...] = ()
    pixels: tuple[int, ...] = ()  # of each label
    # pixels of its mask; 1 for a label of the whole image
    sizes: tuple[int, ...] = ()
    skipped: str = ""
    remarks: tuple[str, ...] = ()
    whites: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, amounts: Sequence[Amount], loaded: LoadedImage) -> SurveyedImage:
        """Return an image that could be read."""
        return cls(
            tuple(amount.label for amount in amounts),
            tuple(amount.pixels for amount in amounts),
            tuple(amount.size for amount in amounts),
            remarks=tuple(dict.fromkeys(loaded.remarks)),
            whites=loaded.whites,
        )

    @property
    def amounts(self) -> list[Amount]:
        """Labels with the pixels that carry them."""
        columns = zip(self.labels, self.pixels, self.sizes, strict=True)
        return [Amount(*row) for row in columns]


@dataclass(frozen=True)
class SurveyChunk:
    """Images of a file of the survey."""

    images: tuple[SurveyedImage, ...]


@dataclass(frozen=True)
class Surveyor:
    """Counter of the labels of single images."""

    sources: Sources
    colors: ColourTable | None
    strict: bool
    readers: Mapping[str, ImageReader]  # by the source's name

    @classmethod
    def of(
        cls, sources: Sources, colors: ColourTable | None, strict: bool
    ) -> Surveyor:
        """Return the counter of all sources."""
        readers = {
            source.name: ImageReader.of(source, strict)
            for source in sources.sources
        }
        return cls(sources, colors, strict, readers)

    def survey_chunk(self, images: range) -> dict[str, Any]:
        """Return the content of a file of the survey. Raises Unreadable under ``strict``."""
        return asdict(SurveyChunk(tuple(map(self.survey, images))))

    def survey(self, image: int) -> SurveyedImage:
        """Count the labels of an image."""
        source, index = self.sources.locate(image)
        try:
            loaded = self.readers[source.name].read(index)
        except Unreadable as error:
            if self.strict:
                raise Unreadable(f"{self.sources.name(image)}: {error}") from error
            return SurveyedImage(skipped=str(error))
        amounts = self._label_amounts(source, loaded.annotation)
        if self.colors is not None:
            amounts += self._color_amounts(self.colors, loaded.rgb)
        return SurveyedImage.of(amounts, loaded)

    def _label_amounts(
        self, source: Source, annotation: Annotation
    ) -> list[Amount]:
        """Count the pixels of each label; of labels in planes of several sizes, size by size."""
        whole_image = {int(value) for value in annotation.labels}
        amounts = [Amount(value, 1, 1) for value in sorted(whole_image)]
        planes_of_size: dict[tuple[int, ...], list[Plane]] = {}
        for plane in map(np.asarray, annotation.planes):
            planes_of_size.setdefault(plane.shape, []).append(plane)
        for planes in planes_of_size.values():
            pixels = count_pixels(planes)
            amounts += [
                Amount(value, pixels[value], planes[0].size)
                for value in sorted(pixels)
                if value not in whole_image
            ]
        first_index = source.first_label - 1  # plane values count from 1
        indexed = [
            amount._replace(label=first_index + amount.label)
            for amount in amounts
            if amount.label
        ]
        labels = self.sources.labels
        return [amount for amount in indexed if labels[amount.label].is_used]

    def _color_amounts(self, colors: ColourTable, rgb: Image.Image) -> list[Amount]:
        """Count the pixels of each colour name."""
        pixels = np.asarray(rgb)
        rows, columns, _ = pixels.shape
        counts = np.zeros(len(colors.names), np.int64)
        for strip in strips_of((rows, columns)):
            indices = colors.indices(pixels[strip])
            counts += np.bincount(indices.ravel(), minlength=len(counts))
        first_color = self.sources.first_color
        return [
            Amount(first_color + color, int(counts[color]), rows * columns)
            for color in np.flatnonzero(counts).tolist()
        ]


def survey_sources(
    surveyor: Surveyor, workspace: Workspace, workers: int, progress: Progress
) -> list[SurveyedImage]:
    """Survey all images that an interrupted build has not, and return all."""
    images = surveyor.sources.image_count
    workspace.do_chunks(
        SURVEY, images, surveyor.survey_chunk, workers, progress, STAGE
    )
    surveyed = [
        image
        for chunk in workspace.read_chunks(SURVEY, images, SurveyChunk)
        for image in chunk.images
    ]
    if len(surveyed) != images:
        raise workspace.damaged(f"a survey of {len(surveyed)} images of {images}")
    return surveyed
