"""Strata of images, and permutations within them."""

from __future__ import annotations

from collections import Counter

import numpy as np

from nd_plugin.significance.exchange import Strata
from nd_plugin.significance.image_concepts import ImageConcepts

CATEGORY_OF = np.array([0, 0, 1])
# concepts of each image, and the rows of its masks
IMAGES = {
    0: ([0], 4), 1: ([1], 4), 2: ([0, 1], 4),  # category 0
    3: ([0, 2], 4), 5: ([1, 2], 4),  # both
    6: ([0], 5),  # masks of another size
    7: ([2], 4),  # category 1
    8: ([], 4), 9: ([], 4),  # no concept: they count nowhere
}  # fmt: skip


def strata_of(images: list[int]) -> Strata:
    parts = [
        ImageConcepts.of(
            [image],
            (IMAGES[image][1], 4),
            [np.array(IMAGES[image][0], np.int64)],
            [np.ones(len(IMAGES[image][0]), np.int64)],
        )
        for image in images
    ]
    return Strata.of(ImageConcepts.joined(parts), CATEGORY_OF, 2)


def test_masks_of_one_size_and_the_same_categories() -> None:
    strata = strata_of(list(IMAGES))
    assert strata.images.tolist() == [0, 1, 2, 3, 5, 6, 7]
    numbers = dict(
        zip(strata.images.tolist(), strata.stratum_of.tolist(), strict=True)
    )
    assert numbers[0] == numbers[1] == numbers[2]
    assert numbers[3] == numbers[5]
    assert len(set(numbers.values())) == 4
    assert strata.fixed_images == 2


def test_no_image_has_a_concept() -> None:
    strata = strata_of([8, 9])
    assert len(strata.images) == 0 and strata.fixed_images == 0
    assert strata.permutations(0, 3).shape == (0, 3)


def test_annotations_stay_in_their_stratum() -> None:
    strata = strata_of(list(IMAGES))
    columns = strata.permutations(seed=1, count=20)
    for number, partners in enumerate(columns.T):
        assert sorted(partners.tolist()) == list(range(len(strata.images)))
        assert np.array_equal(strata.stratum_of[partners], strata.stratum_of)
        assert np.array_equal(partners, strata.permute(1, number))


def test_the_order_in_which_images_come_does_not_matter() -> None:
    strata = strata_of(list(IMAGES))
    turned = strata_of(list(IMAGES)[::-1])
    assert np.array_equal(strata.images, turned.images)
    assert np.array_equal(strata.permutations(2, 5), turned.permutations(2, 5))
    assert not np.array_equal(strata.permutations(2, 5), strata.permutations(3, 5))


def test_each_permutation_of_a_stratum_is_equally_likely() -> None:
    """Six of three images: 600 draws, 100 each, with a standard deviation of 9."""
    strata = strata_of([0, 1, 2])
    counts = Counter(
        tuple(strata.permute(0, number).tolist()) for number in range(600)
    )
    assert len(counts) == 6
    # five standard deviations
    assert all(abs(count - 100) < 45 for count in counts.values())
