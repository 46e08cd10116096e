"""Labels of single images: how much of an image each concept and each category covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.machine.forked_workers import map_in_order
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.pictures.stored_integers import strips_of
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.grey_sample import GreySample
from nd_plugin.probe_data.items import ItemDecoder
from nd_plugin.probe_data.remarks import Remarks

IMAGES_AT_ONCE = 16  # that a worker sends at once


@dataclass(frozen=True)
class ImageLabels:
    """Shares of an image's pixels that concepts and categories cover."""

    image: int  # index into the concept set
    concepts: tuple[int, ...] = ()  # that have a pixel, ascending
    concept_shares: tuple[float, ...] = ()  # of `concepts`, above 0
    category_shares: tuple[
        float, ...
    ] = ()  # of each category of the set, 0 for no label
    skipped: Skipped | None = None
    remarks: Remarks = field(default_factory=Remarks)


@dataclass(frozen=True)
class LabelReader:
    """Reader of the annotations of a concept set, each at its own size."""

    concepts: ConceptSet
    max_pixels: int | None = None

    def read_all(self, images: int, workers: int) -> Iterator[ImageLabels]:
        """Yield the labels of the first images in their order, read in ``workers`` processes, too.

        Raises what stops a run: a set that breaks its contract, lack of memory, a lost process.
        """
        starts = range(0, images, IMAGES_AT_ONCE)
        read_chunk = partial(self._read_chunk, images=images)
        results = map_in_order(read_chunk, starts, workers, self._name_chunk)
        with closing(results) as chunks:
            for chunk in chunks:
                yield from chunk

    def read(self, image: int) -> ImageLabels:
        """Read the labels of an image; `skipped` says why an annotation cannot be read."""
        item = self._decoder[0, image]
        if item.failure is not None:
            raise item.failure
        if item.labels is None:
            return ImageLabels(image, skipped=item.skipped)
        labels = item.labels
        rows, columns = labels.size
        shares = labels.areas / (rows * columns)
        return ImageLabels(
            image,
            tuple(labels.concepts.tolist()),
            tuple(shares.tolist()),
            tuple(self._category_shares(labels)),
            remarks=item.annotation_remarks,
        )

    def combinations(self, image: int) -> LabelCombinations | None:
        """Read the annotation of an image; None for one that cannot be read."""
        return self._decoder[0, image].labels

    def _read_chunk(self, start: int, images: int) -> list[ImageLabels]:
        stop = min(start + IMAGES_AT_ONCE, images)
        return [self.read(image) for image in range(start, stop)]

    def _name_chunk(self, start: int) -> str:
        """Name the images that a worker was at, for the message that it has crashed."""
        name = self.concepts.name(start)
        return f"{name} and the {IMAGES_AT_ONCE - 1} images behind it"

    @cached_property
    def _decoder(self) -> ItemDecoder:
        return ItemDecoder(
            self.concepts,
            Preprocess(),  # of images, which are not read
            mask_size=None,
            with_pixels=False,
            with_labels=True,
            grey_sample=GreySample(self.concepts),
            max_pixels=self.max_pixels,
            set_size=len(self.concepts),
        )

    @cached_property
    def _category_of_label(self) -> npt.NDArray[np.int64]:
        """Number of the category of each label, which are 1 + concept; -1 of label 0."""
        numbers = {name: i for i, name in enumerate(self.concepts.categories)}
        categories = [
            numbers[concept.category] for concept in self.concepts.concepts
        ]
        return np.array([-1, *categories], np.int64)

    def _category_shares(self, labels: LabelCombinations) -> Sequence[float]:
        """Return the share of pixels that carry any label of each category."""
        rows, columns = labels.size
        pixels = np.zeros(len(labels.members), np.int64)
        for strip in strips_of(labels.size):
            numbers = labels.combinations[strip].ravel()
            pixels += np.bincount(numbers, minlength=len(pixels))
        categories = self._category_of_label[labels.members]
        shares = []
        for number in range(len(self.concepts.categories)):
            is_labelled = (categories == number).any(axis=1)
            shares.append(int(pixels[is_labelled].sum()) / (rows * columns))
        return shares
