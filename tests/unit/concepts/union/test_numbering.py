"""Counts and numbers of merged labels."""

from __future__ import annotations

import pytest

from nd_plugin.concepts.union.labels.merge_rules import MergeRules
from nd_plugin.concepts.union.labels.merging import (
    SourceLabel,
    Union,
    merge_labels,
)
from nd_plugin.concepts.union.labels.numbering import (
    Amount,
    CountedLabel,
    UnionCounts,
    count_union,
    number_labels,
    renumber,
)
from nd_plugin.errors import ConceptSetInvalid


def union_of(*labels: tuple[str, str]) -> Union:
    """Return a union of labels (category, name) of one source, in this order of frequency."""
    return merge_labels(
        [
            SourceLabel(
                index, f"s{index}", category, name, name, (), 100 - index, 0
            )
            for index, (category, name) in enumerate(labels)
        ],
        MergeRules(),
    )


def whole(label: int) -> Amount:
    return Amount(label, 1, 1)


def named(labels: list[CountedLabel]) -> dict[str, CountedLabel]:
    return {label.name: label for label in labels}


def test_a_label_counts_each_image_once_in_a_category() -> None:
    union = union_of(("part", "leg"), ("part", "leg"), ("object", "leg"))
    images = [[whole(0), Amount(1, 2, 8)], [Amount(2, 4, 8)], [Amount(0, 1, 8)]]
    leg = named(count_union(union, images).labels(union))["leg"]
    assert leg.samples == 3
    assert leg.by_category["part"] == (2, 1 + 2 / 8 + 1 / 8)
    assert leg.by_category["object"] == (1, 0.5)
    assert leg.frequency == 3
    assert leg.coverage == 1 + 2 / 8 + 1 / 8 + 0.5


def test_samples_are_images_and_not_their_sum_over_categories() -> None:
    union = union_of(("part", "door"), ("object", "door"))
    counts = count_union(union, [[whole(0), whole(1)]] * 6)
    (door,) = counts.labels(union)
    assert (door.samples, door.frequency) == (6, 12)
    with pytest.raises(ConceptSetInvalid, match="no label has 10 samples"):
        number_labels([door], 10)


def test_labels_that_became_one_cover_a_pixel_once() -> None:
    """Left and right leg in two planes: no label covers more than the image."""
    union = union_of(("part", "leg"), ("part", "leg"))
    counts = count_union(union, [[Amount(0, 8, 8), Amount(1, 8, 8)]])
    assert counts.labels(union)[0].by_category["part"] == (1, 1.0)


def counted(*amounts: tuple[str, int, int]) -> tuple[Union, UnionCounts]:
    """Return labels (name, images, pixels of 100 in each)."""
    union = union_of(*[("object", name) for name, _, _ in amounts])
    most = max(images for _, images, _ in amounts)
    rows = []
    for image in range(most):
        rows.append(
            [
                Amount(label, pixels, 100)
                for label, (_, images, pixels) in enumerate(amounts)
                if image < images
            ]
        )
    return union, count_union(union, rows)


def test_numbers_go_by_frequency_then_coverage_then_name() -> None:
    union, counts = counted(
        ("rare", 10, 90),
        ("small", 12, 1),
        ("b", 12, 5),
        ("a", 12, 5),
        ("big", 11, 99),
    )
    numbering = number_labels(counts.labels(union))
    assert [label.name for label in numbering.labels] == [
        "a",
        "b",
        "small",
        "big",
        "rare",
    ]
    assert numbering.number_of == {3: 1, 2: 2, 1: 3, 4: 4, 0: 5}


def test_ten_samples_are_enough_and_nine_are_not() -> None:
    union, counts = counted(("ten", 10, 1), ("nine", 9, 50), ("never", 0, 0))
    numbering = number_labels(counts.labels(union))
    assert [label.name for label in numbering.labels] == ["ten"]
    reasons = {drop.label.name: drop.reason for drop in numbering.dropped}
    assert reasons == {
        "nine": "9 samples, fewer than 10",
        "never": "no image carries it",
    }
    more = number_labels(counts.labels(union), 9)
    assert [label.name for label in more.labels] == ["ten", "nine"]


def test_labels_that_cover_too_little() -> None:
    union, counts = counted(("wide", 10, 5), ("narrow", 10, 4))
    numbering = number_labels(counts.labels(union), 10, 0.5)
    assert [label.name for label in numbering.labels] == ["wide"]
    assert (
        numbering.dropped[0].reason == "0.4 images' worth of pixels, fewer than 0.5"
    )


def test_no_label_that_covers_enough() -> None:
    """The message says the larger coverage of those with samples enough."""
    union = union_of(("object", "car"), ("object", "comet"), ("object", "sky"))
    images = [[Amount(0, 1, 8), Amount(1, 1, 16)]] * 10 + [[whole(2)]] * 9
    labels = count_union(union, images).labels(union)
    with pytest.raises(ConceptSetInvalid) as caught:
        number_labels(labels, 10, 5.0)
    assert str(caught.value) == (
        "no label with 10 samples covers 5 images' worth of pixels: the largest covers 1.25; "
        "allow less (--min-coverage X)"
    )


def test_rare_labels_are_kept_where_they_are_merged() -> None:
    """Six images here and four there are ten samples of one label."""
    union = union_of(("object", "bed"), ("object", "bed"))
    images = [[whole(0)]] * 6 + [[whole(1)]] * 4
    numbering = number_labels(count_union(union, images).labels(union))
    assert numbering.number_of == {0: 1, 1: 1}


def test_categories_are_in_the_order_of_their_first_labels() -> None:
    union = union_of(("scene", "s"), ("object", "wall"), ("part", "wall"))
    images = [[whole(1), whole(2)]] * 12 + [[whole(0), whole(1)]] * 10
    numbering = number_labels(count_union(union, images).labels(union))
    assert [label.name for label in numbering.labels] == ["wall", "s"]
    assert numbering.categories == ["object", "part", "scene"]


def test_counts_get_the_numbers_and_lose_dropped_labels() -> None:
    union, counts = counted(("few", 3, 5), ("many", 12, 5))
    numbering = number_labels(counts.labels(union))
    renumbered = renumber(counts.counts, union, numbering)
    assert dict(renumbered.images) == {(1, "object"): 12}
    assert dict(renumbered.pixels) == {(1, "object", 100): 60}


def test_more_labels_than_a_mask_can_hold() -> None:
    union = union_of(*[("object", f"n{number}") for number in range(3)])
    counts = count_union(union, [[whole(label) for label in range(3)]] * 10)
    labels = counts.labels(union)
    with pytest.raises(ConceptSetInvalid, match="65536 labels are more than"):
        number_labels(labels * 21845 + labels[:1])
