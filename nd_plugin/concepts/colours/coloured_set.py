"""Category ``color`` for any concept set: the basic colour term of each pixel, on the fly."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.concepts.colours.colour_table import ColourTable
from nd_plugin.concepts.combine.combined_set import operand_text
from nd_plugin.contracts.concept_sets import Annotation, Concept, ConceptSet
from nd_plugin.contracts.provenance import Identity, fingerprint
from nd_plugin.contracts.set_checks import read_annotation, read_image
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.probe_data.grey_sample import GreySample
from nd_plugin.probe_data.items import half, own_size
from nd_plugin.receptive_fields.geometry import Size

CATEGORY = "color"
SUFFIX = "-c"  # Broden's, of all names of colours
VERSION = "1"  # to be raised when the same table gives other planes
OPTIONAL_MEMBERS = ("files", "split")


def with_colours(
    concepts: ConceptSet, table: str | Path | None = None
) -> ConceptSet:
    """Return a concept set with the category ``color``: the name of each pixel's colour.

    ``table`` is a NumPy or MATLAB file of one of the usual layouts; None: the table that is ours.
    Raises ConceptSetInvalid for a set that has the category, and for a file that is no such table.
    """
    if CATEGORY in concepts.categories:
        raise ConceptSetInvalid(
            f"the concept set {concepts.identity.source} has the category {CATEGORY!r} already: "
            "leave +color out"
        )
    return ColouredConcepts(concepts, ColourTable.load(table))


class ColouredConcepts:
    """Concept set with colour names as its last category.

    The colour is that of the image as the host decodes it: upright, on white where transparent.
    Native masks (Broden's layout) are smaller than their images: a pixel of the plane then has the
    name of one pixel of the image, as in Broden, where colours were named before the masks were
    made smaller; see `sampled`. Other sets get a plane of the image's own size, of which the host
    compares as many pixels as of all masks.
    """

    def __init__(self, base: ConceptSet, table: ColourTable) -> None:
        self.base = base
        self._table = table
        self._grey_sample = GreySample(base)
        concepts = [Concept(f"{name}{SUFFIX}", CATEGORY) for name in table.names]
        self.concepts: tuple[Concept, ...] = (*base.concepts, *concepts)
        self.categories: tuple[str, ...] = (*base.categories, CATEGORY)
        self.native_masks: bool = base.native_masks
        self.notes: tuple[str, ...] = (*getattr(base, "notes", ()), _note(table))
        # by index in the table
        first = 1 + len(base.concepts)
        values = np.arange(first, first + len(table.names))
        self._values = values.astype(np.min_scalar_type(len(self.concepts)))

    @cached_property
    def identity(self) -> Identity:
        """Identity of the set, with the table's content in the fingerprint."""
        base = self.base.identity
        file = self._table.file
        option = f"?table={quote(file)}" if file else ""
        content = f"{base.fingerprint} {VERSION} {self._table.fingerprint}"
        return Identity(
            base.name,
            f"{operand_text(self.base)}+{CATEGORY}{option}",
            base.version,
            fingerprint([content.encode()]) if base.fingerprint else "",
        )

    def __len__(self) -> int:
        return len(self.base)

    def __getattr__(self, name: str) -> Any:
        """Return an optional method of the set itself, which a set without it has not either."""
        if name not in OPTIONAL_MEMBERS:
            raise AttributeError(name)
        method: Callable[..., Any] = getattr(self.base, name)
        return method

    def name(self, index: int) -> str:
        """Return the image's name in the set."""
        return self.base.name(index)

    def image(self, index: int) -> Image.Image:
        """Return the image as the set gives it."""
        return self.base.image(index)

    def annotation(self, index: int) -> Annotation:
        """Return the annotation with a plane of colour names behind its own.

        Decodes the image, too, and raises what that raises.
        """
        annotation = read_annotation(self.base, index)
        image = read_image(self.base, index)
        picture = convert_picture(image, self._grey_sample.choose_range)
        pixels = np.asarray(picture.rgb)
        rows, columns, _ = pixels.shape
        size = (rows, columns)
        if self.native_masks:
            # Broden's masks are half as high and wide as the image
            size = own_size(annotation) or half(size)
        names = self._table.indices(sampled(pixels, size))
        resolution = annotation.size
        if own_size(annotation) is None:
            resolution = size
        return Annotation(
            [*annotation.planes, self._values[names]],
            annotation.labels,
            resolution,
            annotation.remarks,
        )


def sampled(pixels: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """Return one pixel of a picture (row, column, channel) for each of a mask of ``size``.

    They are where Broden's masks were sampled, so that a colour is of the same place as the other
    labels: the first and the last of both are the same, and the others spread evenly between
    (`scipy.ndimage.zoom` of order 0). In CamVid in Broden's layout all labels of objects are found
    so, and 98 % at the middles of the mask's pixels.
    """
    rows, columns, _ = pixels.shape
    target_rows, target_columns = size
    if (rows, columns) == (target_rows, target_columns):
        return pixels
    row_indices = _sampled_indices(rows, target_rows)
    column_indices = _sampled_indices(columns, target_columns)
    return pixels[row_indices][:, column_indices]


def _sampled_indices(length: int, target: int) -> npt.NDArray[np.int64]:
    """Return ``target`` indices from 0 to ``length`` - 1, rounded, halves up."""
    if target == 1:
        return np.array([length // 2])
    spans = target - 1
    positions = np.arange(target) * (length - 1)
    return (2 * positions + spans) // (2 * spans)


def _note(table: ColourTable) -> str:
    """Return which table the colours are from, for results."""
    whose = f"the table {table.file}" if table.file else "XKCD's survey"
    return (
        f"category {CATEGORY} is computed: the name of each pixel's colour by {whose} "
        f"(fingerprint {table.fingerprint})"
    )
