"""Statistics of a concept set: table 1 of the paper, coverage, and samples of each concept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nd_plugin.concepts.info.image_labels import ImageLabels, LabelReader
from nd_plugin.concepts.info.image_sources import ImageSources
from nd_plugin.contracts.concept_sets import Concept, ConceptSet
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.probe_data.workers import default_workers

STAGE = "annotations"
# of an image's pixels, that a concept covers in a good picture of it
SHARE_IN_A_GOOD_VIEW = 0.25
VIEWS = 4  # of each concept: pictures that show several concepts are shown once

Progress = Callable[[str, int, int], None]  # stage, images done, images in all
View = tuple[float, int]  # distance from a good share, image


@dataclass(frozen=True)
class ConceptStatistics:
    """How often a concept occurs, and how much it covers."""

    concept: Concept
    samples: int  # images with a pixel of it
    coverage: float  # pixels in images' worth, as Broden's tables count them
    views: tuple[int, ...]  # images that show it well, the best first


@dataclass(frozen=True)
class CategoryStatistics:
    """Row of the paper's table 1, and how much of the set carries a label of the category."""

    name: str
    concepts: tuple[ConceptStatistics, ...]  # in the vocabulary's order
    sources: tuple[tuple[str, int], ...]  # and their images, the most first
    images: int  # with a label of the category
    coverage: float  # labelled pixels in images' worth

    @property
    def average_samples(self) -> float:
        """Mean number of images of a concept."""
        samples = sum(concept.samples for concept in self.concepts)
        return samples / len(self.concepts)

    @property
    def by_frequency(self) -> list[ConceptStatistics]:
        """Concepts that have a sample, the most frequent first, of equal ones the larger."""
        sampled = [concept for concept in self.concepts if concept.samples]
        return sorted(sampled, key=lambda item: (-item.samples, -item.coverage))

    @property
    def without_samples(self) -> list[str]:
        """Names of the concepts that no image shows."""
        return [item.concept.name for item in self.concepts if not item.samples]


@dataclass(frozen=True)
class SetStatistics:
    """Statistics of the first images of a concept set."""

    images: int  # that were asked for
    images_of_set: int
    categories: tuple[CategoryStatistics, ...]
    skipped: tuple[Skipped, ...]  # annotations that cannot be read
    remarks: Remarks

    @property
    def images_read(self) -> int:
        """Images whose annotation was read: what shares are of."""
        return self.images - len(self.skipped)


def measure_set(
    concepts: ConceptSet,
    progress: Progress,
    *,
    limit: int | None = None,
    workers: int | None = None,
    max_pixels: int | None = None,
) -> SetStatistics:
    """Read all annotations of a set once, or those of its first ``limit`` images.

    ``workers`` are the processes beside this one; None: as many as a dissection takes. The result
    does not depend on them. Raises what stops a run; an annotation that cannot be read is skipped.
    """
    images = len(concepts) if limit is None else min(limit, len(concepts))
    if workers is None:
        workers = default_workers(torch.device("cpu"), 0)
    tally = _Tally(concepts)
    progress(STAGE, 0, images)
    reader = LabelReader(concepts, max_pixels)
    for labels in reader.read_all(images, workers):
        tally.update(labels)
        progress(STAGE, labels.image + 1, images)
    return tally.statistics(images)


class _Tally:
    """Sums over the images read so far."""

    def __init__(self, concepts: ConceptSet) -> None:
        self._set = concepts
        self._samples = np.zeros(len(concepts.concepts), np.int64)
        self._coverage = np.zeros(len(concepts.concepts), np.float64)
        self._views: list[list[View]] = [[] for _ in concepts.concepts]
        self._category_images = np.zeros(len(concepts.categories), np.int64)
        self._category_coverage = np.zeros(len(concepts.categories), np.float64)
        self._images = ImageSources()
        self._sources: list[Counter[str]] = [Counter() for _ in concepts.categories]
        self._skipped: list[Skipped] = []
        self._remarks = Remarks()

    def update(self, labels: ImageLabels) -> None:
        """Add an image."""
        if labels.skipped is not None:
            self._skipped.append(labels.skipped)
            return
        self._remarks += labels.remarks
        indices = list(labels.concepts)
        self._samples[indices] += 1
        self._coverage[indices] += labels.concept_shares
        pairs = zip(labels.concepts, labels.concept_shares, strict=True)
        for concept, share in pairs:
            self._add_view(concept, labels.image, share)
        shares = np.array(labels.category_shares)
        self._category_images += shares > 0
        self._category_coverage += shares
        for number in np.flatnonzero(shares):
            category = self._set.categories[number]
            source = self._images.source_of(self._set, labels.image, category)
            self._sources[number][source] += 1

    def _add_view(self, concept: int, image: int, share: float) -> None:
        """Remember an image if it is among the best views of a concept."""
        views = self._views[concept]
        view = (abs(share - SHARE_IN_A_GOOD_VIEW), image)
        if len(views) < VIEWS or view < views[-1]:
            views.append(view)
            views.sort()
            del views[VIEWS:]

    def statistics(self, images: int) -> SetStatistics:
        """Return the statistics of ``images`` images."""
        categories = [
            self._category(number, name)
            for number, name in enumerate(self._set.categories)
        ]
        return SetStatistics(
            images,
            len(self._set),
            tuple(categories),
            tuple(self._skipped),
            self._remarks,
        )

    def _category(self, number: int, name: str) -> CategoryStatistics:
        concepts = [
            self._concept(index, concept)
            for index, concept in enumerate(self._set.concepts)
            if concept.category == name
        ]
        return CategoryStatistics(
            name,
            tuple(concepts),
            tuple(self._sources[number].most_common()),
            int(self._category_images[number]),
            float(self._category_coverage[number]),
        )

    def _concept(self, index: int, concept: Concept) -> ConceptStatistics:
        return ConceptStatistics(
            concept,
            int(self._samples[index]),
            float(self._coverage[index]),
            tuple(image for _, image in self._views[index]),
        )


def even_choice(
    items: Sequence[ConceptStatistics], count: int
) -> list[ConceptStatistics]:
    """Return ``count`` items, or all of fewer, spread evenly from the first to the last."""
    if len(items) <= count:
        return list(items)
    positions = np.linspace(0, len(items) - 1, count).round().astype(int)
    return [items[position] for position in positions]
