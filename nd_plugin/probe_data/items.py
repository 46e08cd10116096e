"""Items of a probe data set: one image and its labels, decoded in a worker process."""

from __future__ import annotations

import traceback
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import Dataset

from nd_plugin.contracts.concept_sets import Annotation, ConceptSet
from nd_plugin.contracts.provenance import Settings, Skipped
from nd_plugin.contracts.set_checks import read_annotation, read_image
from nd_plugin.errors import BadInput, NDError, PluginFailed
from nd_plugin.foreign_code import is_failure, stopping_failure
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.pictures.pixel_limit import (
    check_pixel_count,
    most_pixels,
    pixel_limit,
    reason_of,
)
from nd_plugin.pictures.png_checksums import checked_checksums
from nd_plugin.pictures.small_pictures import encode_small
from nd_plugin.preprocess import Preprocess, parse_size
from nd_plugin.probe_data.grey_sample import GreySample
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.receptive_fields.geometry import Size


class PackedLabels(NamedTuple):
    """Labels of an image at the size of the masks, as `LabelCombinations.pack` returns them."""

    content: bytes
    size: Size


@dataclass(frozen=True)
class Item:
    """One image, decoded as far as it is needed and can be read."""

    batch_number: int
    image: int  # index into the concept set
    pixels: Tensor | None = None  # uint8 (channel, row, column)
    labels: LabelCombinations | None = None  # at the size of the masks
    skipped: Skipped | None = None
    # what stops the run, to be raised in the first process
    failure: NDError | None = None
    small_picture: bytes | None = None  # a file, see `small_pictures`
    packed_labels: PackedLabels | None = None
    picture_remarks: Remarks = field(default_factory=Remarks)
    annotation_remarks: Remarks = field(default_factory=Remarks)

    @property
    def readable(self) -> bool:
        """Whether the image could be read; its annotation may be missing."""
        if self.failure is not None:
            return False
        return self.skipped is None or self.skipped.part != "image"


@dataclass(frozen=True)
class ItemDecoder(Dataset[Item]):
    """Items of a concept set as a dataset of PyTorch, indexed by batch number and image."""

    concepts: ConceptSet
    preprocess: Preprocess
    mask_size: Size | None  # None: each annotation at its own size
    with_pixels: bool
    with_labels: bool
    grey_sample: GreySample
    max_pixels: int | None = None
    strict: bool = False  # checksums of masks are checked
    set_size: int | None = None  # images when the run began; None: not checked
    with_small_pictures: bool = False
    pack_labels_of: AbstractSet[int] = frozenset()  # images

    def __getitem__(self, position: tuple[int, int]) -> Item:
        """Decode an item; what cannot be read is skipped, and the reason recorded.

        What says nothing of the image is not skipped, but recorded as the item's failure: too
        little memory, a concept set that does not keep its contract, SystemExit.
        """
        batch_number, image = position
        item = Item(batch_number, image)
        try:
            if self.with_pixels or self.with_small_pictures:
                item = self._add_picture(item)
        except BaseException as error:  # a concept set may raise anything
            return self._without(item, "image", error)
        try:
            if self.with_labels:
                item = self._add_labels(item)
        except BaseException as error:  # a concept set may raise anything
            return self._without(item, "annotation", error)
        return item

    def _without(self, item: Item, part: str, error: BaseException) -> Item:
        """Return the item without its image or annotation, and why. Raises signals as they are."""
        if not is_failure(error):
            raise error
        failure = self._failure(item.image, part, error)
        if failure is None:
            name = self.concepts.name(item.image)
            return replace(item, skipped=Skipped(name, part, reason_of(error)))
        if failure is not error:
            failure.__cause__ = error
        # all that reaches the first process of where it was raised
        failure.add_note("".join(traceback.format_exception(error)))
        return replace(item, failure=failure)

    def _failure(
        self, image: int, part: str, error: BaseException
    ) -> NDError | None:
        """Return the error that stops the run; None for an exception of the image's own."""
        if isinstance(error, PluginFailed):
            # perhaps because images have no names
            return error
        return stopping_failure(error, f"the {part} of {self.concepts.name(image)}")

    def _add_picture(self, item: Item) -> Item:
        """Read the image; resize it for the model and for reports, as far as these are needed."""
        with pixel_limit(self.max_pixels):
            image = read_image(self.concepts, item.image, self.set_size)
            picture = convert_picture(image, self.grey_sample.choose_range)
            if self.with_pixels:
                item = replace(item, pixels=self.preprocess.resize(picture.rgb))
            if self.with_small_pictures:
                item = replace(item, small_picture=encode_small(picture.rgb))
        return replace(
            item,
            picture_remarks=Remarks.on_image(
                self.concepts.name(item.image), picture.remarks, picture.whites
            ),
        )

    def _add_labels(self, item: Item) -> Item:
        """Read the labels. Raises ValueError for labels outside the vocabulary."""
        with pixel_limit(self.max_pixels), checked_checksums(self.strict):
            annotation = read_annotation(self.concepts, item.image, self.set_size)
            size = self.mask_size or own_size(annotation)
            size = size or half(self.preprocess.size)
            check_pixel_count(size, "an annotation")
            concept_count = len(self.concepts.concepts)
            for plane in annotation.planes:
                check_labels(np.asarray(plane), concept_count)
            check_labels(np.array(annotation.labels, np.int64), concept_count)
            labels = LabelCombinations.of(annotation, size)
            if item.image in self.pack_labels_of:
                packed_labels = PackedLabels(labels.pack(), labels.size)
                item = replace(item, packed_labels=packed_labels)
        return replace(
            item,
            labels=labels,
            annotation_remarks=Remarks.on_image(
                self.concepts.name(item.image), annotation.remarks
            ),
        )


def mask_size(
    settings: Settings, concepts: ConceptSet, image_size: Size
) -> Size | None:
    """Return the size at which masks are compared; None: each annotation at its own size.

    Raises BadInput for a setting that is not a size, or beyond the limit of pixels.
    """
    setting = settings.mask_size
    if setting == "auto":
        return None if concepts.native_masks else half(image_size)
    if setting == "native":
        return None
    size = parse_size(setting, "mask size", "auto, native, N or HxW")
    limit = most_pixels(settings.max_pixels)
    if limit is not None and size[0] * size[1] > limit:
        raise BadInput(
            f"mask size {setting!r} exceeds the limit of {limit} pixels; choose a smaller one, or "
            f"allow more: --max-pixels N, max_pixels=N"
        )
    return size


def half(size: Size) -> Size:
    """Return half of an image's size, the default size of masks."""
    rows, columns = size
    return max(rows // 2, 1), max(columns // 2, 1)


def own_size(annotation: Annotation) -> Size | None:
    """Return the size of an annotation or of its first plane; None: it labels the image only."""
    if annotation.size or not len(annotation.planes):
        return annotation.size
    return annotation.planes[0].shape


def check_labels(labels: npt.NDArray[np.integer[Any]], concept_count: int) -> None:
    """Raise ValueError unless all labels are 0 (none) or 1 + the index of a concept."""
    lowest = int(labels.min(initial=0))
    highest = int(labels.max(initial=0))
    if lowest < 0 or highest > concept_count:
        label = lowest if lowest < 0 else highest
        raise ValueError(
            f"label {label} is outside the vocabulary of {concept_count} concepts"
        )
