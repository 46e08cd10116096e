"""Numbers of merged labels: by frequency, then by coverage, without the rare ones.

As in Broden, the frequency of a label in a category is the number of images that carry it there,
its frequency the sum over its categories, and its coverage the pixels that it covers, in images'
worth. A label's samples are images, each of them once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nd_plugin.concepts.broden_layout.samples import LARGEST_NUMBER
from nd_plugin.concepts.broden_layout.tally import LabelCounts
from nd_plugin.concepts.union.labels.merging import MergedLabel, Union
from nd_plugin.errors import ConceptSetInvalid

MIN_SAMPLES = 10  # paper section 2.1


class Amount(NamedTuple):
    """Pixels of one image that carry a label."""

    label: int  # index among the labels of all sources
    pixels: int
    size: int  # pixels of the mask; 1 for a label of the whole image


class CategoryCount(NamedTuple):
    """Images that carry a label in a category, and the images' worth of pixels that it covers."""

    images: int
    coverage: float


@dataclass(frozen=True)
class CountedLabel:
    """Merged label with its counts."""

    merged: MergedLabel
    samples: int  # images, each once
    by_category: Mapping[str, CategoryCount]  # the most frequent category first

    @property
    def name(self) -> str:
        """Name of the label."""
        return self.merged.name

    @property
    def frequency(self) -> int:
        """Sum of the images of all categories, as in label.csv."""
        return sum(count.images for count in self.by_category.values())

    @property
    def coverage(self) -> float:
        """Images' worth of pixels, in all categories."""
        return sum(count.coverage for count in self.by_category.values())

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sort key of numbers."""
        return (-self.frequency, -self.coverage, self.name)


@dataclass(frozen=True)
class DroppedLabel:
    """Merged label that is too rare, and why."""

    label: CountedLabel
    reason: str


@dataclass(frozen=True)
class Numbering:
    """Labels by number, from 1, and those without a number."""

    labels: tuple[CountedLabel, ...]
    dropped: tuple[DroppedLabel, ...]
    # of the labels of sources, by index; those that are dropped are missing
    number_of: Mapping[int, int]

    @property
    def categories(self) -> list[str]:
        """Categories that have a label, in the order of their first numbers, as in category.csv."""
        first: dict[str, None] = {}
        for label in self.labels:
            # of one label the more frequent category first
            first.update(dict.fromkeys(label.by_category))
        return list(first)


@dataclass(frozen=True)
class UnionCounts:
    """Counts of merged labels; their numbers are their positions in the union."""

    samples: Counter[int]  # images, each once
    counts: LabelCounts

    def labels(self, union: Union) -> list[CountedLabel]:
        """Return the labels of the union with their counts."""
        coverages = self.counts.coverages()
        by_category: list[dict[str, CategoryCount]] = [{} for _ in union.labels]
        ranked = sorted(
            self.counts.images.items(), key=lambda item: (-item[1], item[0])
        )
        for (position, category), images in ranked:
            coverage = coverages[position, category]
            by_category[position][category] = CategoryCount(images, coverage)
        return [
            CountedLabel(merged, self.samples[position], by_category[position])
            for position, merged in enumerate(union.labels)
        ]


def count_union(union: Union, images: Iterable[Sequence[Amount]]) -> UnionCounts:
    """Count merged labels over images, each given by the amounts of its sources' labels."""
    position_of: dict[int, int] = {}
    category_of: dict[int, str] = {}
    for position, merged in enumerate(union.labels):
        for member in merged.members:
            position_of[member.index] = position
            category_of[member.index] = member.category
    samples: Counter[int] = Counter()
    counts = LabelCounts()
    for amounts in images:
        merged_amounts: dict[tuple[int, str, int], int] = {}
        for label, pixels, size in amounts:
            key = position_of[label], category_of[label], size
            # two labels that became one may share pixels, of several planes
            merged_amounts[key] = min(merged_amounts.get(key, 0) + pixels, size)
        counts.pixels.update(merged_amounts)
        pairs = {(position, category) for position, category, _ in merged_amounts}
        counts.images.update(pairs)
        samples.update({position for position, _ in pairs})
    return UnionCounts(samples, counts)


def number_labels(
    labels: Sequence[CountedLabel],
    min_samples: int = MIN_SAMPLES,
    min_coverage: float = 0.0,
) -> Numbering:
    """Number the labels that are frequent enough.

    Raises ConceptSetInvalid where none is, or more than a mask can hold.
    """
    numbered = []
    dropped = []
    for label in sorted(labels, key=lambda label: label.rank):
        reason = _too_rare(label, min_samples, min_coverage)
        if reason:
            dropped.append(DroppedLabel(label, reason))
        else:
            numbered.append(label)
    if not numbered:
        raise ConceptSetInvalid(_all_too_rare(labels, min_samples, min_coverage))
    if len(numbered) > LARGEST_NUMBER:
        raise ConceptSetInvalid(
            f"{len(numbered)} labels are more than the {LARGEST_NUMBER} that a mask of Broden's "
            "layout can tell apart; ask for more samples of each (--min-samples N)"
        )
    number_of = {
        member.index: number
        for number, label in enumerate(numbered, start=1)
        for member in label.merged.members
    }
    return Numbering(tuple(numbered), tuple(dropped), number_of)


def _too_rare(label: CountedLabel, min_samples: int, min_coverage: float) -> str:
    if label.samples == 0:
        return "no image carries it"
    if label.samples < min_samples:
        return f"{label.samples} samples, fewer than {min_samples}"
    if label.coverage < min_coverage:
        return f"{label.coverage:g} images' worth of pixels, fewer than {min_coverage:g}"
    return ""


def _all_too_rare(
    labels: Sequence[CountedLabel], min_samples: int, min_coverage: float
) -> str:
    """Return why no label is left."""
    most = max((label.samples for label in labels), default=0)
    if most < max(min_samples, 1):
        return (
            f"no label has {min_samples} samples: the most frequent has {most}; allow fewer "
            "(--min-samples N)"
        )
    frequent = [label for label in labels if label.samples >= min_samples]
    largest = max(label.coverage for label in frequent)
    return (
        f"no label with {min_samples} samples covers {min_coverage:g} images' worth of pixels: the "
        f"largest covers {largest:g}; allow less (--min-coverage X)"
    )


def renumber(
    counts: LabelCounts, union: Union, numbering: Numbering
) -> LabelCounts:
    """Return the counts of a union's labels under their numbers, without the dropped ones."""
    numbers = [
        numbering.number_of.get(merged.members[0].index) for merged in union.labels
    ]
    renumbered = LabelCounts()
    for (position, category), images in counts.images.items():
        number = numbers[position]
        if number is not None:
            renumbered.images[number, category] = images
    for (position, category, size), pixels in counts.pixels.items():
        number = numbers[position]
        if number is not None:
            renumbered.pixels[number, category, size] = pixels
    return renumbered
