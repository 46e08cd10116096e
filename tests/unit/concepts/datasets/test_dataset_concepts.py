"""Concept sets of data sets that yield (image, mask)."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from made_sources_b import SIZE, MaskedBlocks
from opened_checks import check_opened_set
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from nd_plugin import BadInput, ConceptSetInvalid, concepts_from_dataset

NAMES = {1: "left", 2: "right"}


class Pairs(Dataset[Any]):
    """Data set of given items."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        item = self.items[index]
        if isinstance(item, Exception):
            raise item
        return item


def pixels() -> Any:
    """Return an image (row, column, channel) of all values of bytes."""
    return (
        np.arange(24 * 32 * 3, dtype=np.int64).reshape(24, 32, 3).astype(np.uint8)
    )


def label_map() -> Any:
    mask = np.zeros(SIZE, np.int64)
    mask[:, :16] = 1
    mask[:, 16:] = 2
    mask[0] = 255
    return mask


IMAGES = {
    "PIL": lambda: Image.fromarray(pixels()),
    "array": pixels,
    "array, channels first": lambda: np.moveaxis(pixels(), 2, 0),
    "tensor": lambda: torch.from_numpy(pixels()).permute(2, 0, 1),
    "float tensor": lambda: torch.from_numpy(pixels()).permute(2, 0, 1) / 255,
    "double array": lambda: pixels() / 255.0,
    "half tensor": lambda: (torch.from_numpy(pixels()).permute(2, 0, 1) / 255).to(
        torch.float16
    ),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images_of_every_kind_are_the_same_pixels(kind: str) -> None:
    concepts = concepts_from_dataset(Pairs((IMAGES[kind](), label_map())), NAMES)
    picture = concepts.image(0)
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), pixels())


@pytest.mark.parametrize(
    ("image", "mode"),
    [
        (pixels()[:, :, 0], "L"),
        (pixels()[:, :, :1], "L"),
        (torch.from_numpy(pixels())[None, :, :, 0], "L"),
        (np.concatenate([pixels(), pixels()[:, :, :1]], 2), "RGBA"),
    ],
)
def test_grey_images_and_transparent_ones(image: Any, mode: str) -> None:
    concepts = concepts_from_dataset(Pairs((image, label_map())), NAMES)
    assert concepts.image(0).mode == mode
    assert concepts.image(0).size == (32, 24)


MASKS = {
    "int64": label_map,
    "uint8": lambda: label_map().astype(np.uint8),
    "int16": lambda: label_map().astype(np.int16),
    "tensor": lambda: torch.from_numpy(label_map()),
    "tensor with an axis": lambda: torch.from_numpy(label_map())[None],
    "PIL": lambda: Image.fromarray(label_map().astype(np.uint8)),
    "palette": lambda: Image.fromarray(label_map().astype(np.uint8)).convert("P"),
    "16 bit": lambda: Image.fromarray(label_map().astype(np.uint16)),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_of_every_kind_are_the_same_plane(kind: str) -> None:
    concepts = concepts_from_dataset(Pairs((pixels(), MASKS[kind]())), NAMES)
    annotation = concepts.annotation(0)
    expected = label_map()
    expected[expected == 255] = 0
    assert np.array_equal(annotation.planes[0], expected)
    assert annotation.remarks == ()  # 255 is to be ignored


def test_masks_of_truth_values() -> None:
    mask = label_map() == 1
    concepts = concepts_from_dataset(Pairs((pixels(), mask)), {1: "left"})
    assert np.array_equal(concepts.annotation(0).planes[0], mask)


def test_names_may_be_a_sequence_in_which_zero_has_a_name() -> None:
    mask = label_map()
    mask[mask == 2] = 0
    concepts = concepts_from_dataset(Pairs((pixels(), mask)), ["sky", "tree", ""])
    assert [concept.name for concept in concepts.concepts] == ["sky", "tree"]
    expected = np.where(mask == 0, 1, np.where(mask == 1, 2, 0))
    assert np.array_equal(concepts.annotation(0).planes[0], expected)


def test_values_without_a_name_are_no_label_and_said() -> None:
    mask = label_map()
    mask[1, :5] = 7
    mask[2, :5] = -1
    concepts = concepts_from_dataset(
        Pairs((pixels(), mask)), {1: "left"}, ignore=[2]
    )
    annotation = concepts.annotation(0)
    assert np.unique(annotation.planes[0]).tolist() == [0, 1]
    assert annotation.remarks == (
        "-1 occurs in masks, and names does not list it",
        "7 occurs in masks, and names does not list it",
        "255 occurs in masks, and names does not list it",
    )


def test_ignored_values_with_a_name_are_no_concepts() -> None:
    names = {0: "background", **NAMES}
    dataset = Pairs((pixels(), label_map()))
    concepts = concepts_from_dataset(dataset, names, ignore=(0, 255))
    assert [concept.name for concept in concepts.concepts] == ["left", "right"]
    with pytest.raises(ConceptSetInvalid, match="among those to ignore"):
        concepts_from_dataset(dataset, {3: "x"}, ignore=[3])
    with pytest.raises(BadInput, match="ignore: 'a' is no mask value"):
        concepts_from_dataset(dataset, names, ignore="ab")  # type: ignore[arg-type]


def test_category_and_name() -> None:
    dataset = Pairs((pixels(), label_map()))
    concepts = concepts_from_dataset(dataset, NAMES, category="part", name="mine")
    assert concepts.categories == ("part",)
    assert concepts.identity.source == "mine"
    assert concepts_from_dataset(dataset, NAMES).identity.source.endswith(".Pairs")


def test_the_contract_holds() -> None:
    check_opened_set(concepts_from_dataset(MaskedBlocks(20), NAMES))
    check_opened_set(concepts_from_dataset(MaskedBlocks(3, "array"), NAMES))


def test_a_tensor_dataset_and_a_list() -> None:
    images = torch.rand(4, 3, 8, 8)
    masks = torch.ones(4, 8, 8, dtype=torch.long)
    concepts = concepts_from_dataset(TensorDataset(images, masks), NAMES)
    assert len(concepts) == 4 and concepts.annotation(3).planes[0].all()
    concepts = concepts_from_dataset([(images[0], masks[0])], NAMES)
    assert len(concepts) == 1


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (
            {"image": 1, "mask": 2},
            "a dictionary with 'image', 'mask'; items are pairs",
        ),
        (pixels(), "item 0 is a ndarray; items are pairs"),
        ((pixels(), label_map(), 3), "item 0 has 3 parts; items are pairs"),
        (("a.jpg", label_map()), "the image of item 0 is a str"),
        ((pixels().astype(int), label_map()), "of type int64; give images before"),
        ((pixels() / 1.0, label_map()), "values from 0 to 255; give images before"),
        ((pixels() - 300.5, label_map()), "give images before they are normalised"),
        ((pixels() * np.nan, label_map()), "values from nan to nan"),
        ((np.zeros((2, 3, 4, 5)), label_map()), r"of shape \(2, 3, 4, 5\)"),
        (
            (torch.zeros(24, 32, 3), label_map()),
            r"expected \(channel, row, column\)",
        ),
        ((pixels(), None), "the mask of item 0 is a NoneType"),
        ((pixels(), 3), "the mask of item 0 is a int"),
        (
            (pixels(), label_map() / 2),
            "of type float64; label numbers are integers",
        ),
        (
            (pixels(), pixels()),
            r"of shape \(24, 32, 3\); a mask is \(row, column\)",
        ),
        (
            (pixels(), Image.fromarray(pixels())),
            "of mode RGB; a mask has one index",
        ),
        ((pixels(), label_map()[:, :8]), "not the aspect of its image, 32x24"),
        (OSError("gone"), "OSError: gone"),
    ],
)
def test_a_first_item_that_is_no_labelled_image_is_refused(
    item: Any, problem: str
) -> None:
    with pytest.raises(ConceptSetInvalid, match=problem):
        concepts_from_dataset(Pairs(item), NAMES)


def test_a_later_item_of_another_kind_is_an_item_that_cannot_be_read() -> None:
    good = (pixels(), label_map())
    concepts = concepts_from_dataset(Pairs(good, (pixels(), None), good), NAMES)
    with pytest.raises(ValueError, match="the mask of item 1 is a NoneType"):
        concepts.annotation(1)
    assert concepts.identity.fingerprint
    assert concepts.annotation(2).planes[0].any()


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield pixels(), label_map()


def test_a_data_set_without_numbered_items_is_refused() -> None:
    with pytest.raises(ConceptSetInvalid, match="as an IterableDataset"):
        concepts_from_dataset(Stream(), NAMES)
    with pytest.raises(ConceptSetInvalid, match="has no items"):
        concepts_from_dataset([], NAMES)


class Augmented(MaskedBlocks):
    """Data set with a random transform."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, mask = super().__getitem__(index)
        noise = np.random.default_rng().integers(0, 256, (24, 32, 3), np.uint8)
        return Image.fromarray(np.asarray(image) ^ noise), mask


def test_random_transforms_are_refused() -> None:
    with pytest.raises(ConceptSetInvalid, match="turn its random transforms off"):
        concepts_from_dataset(Augmented(), NAMES)


class Counting(MaskedBlocks):
    reads = 0

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        self.reads += 1
        return super().__getitem__(index)


def test_image_and_annotation_of_an_item_are_one_read() -> None:
    dataset = Counting(100)
    concepts = concepts_from_dataset(dataset, NAMES)
    assert dataset.reads == 2  # the first item, twice
    for index in (5, 6):
        concepts.image(index)
        concepts.annotation(index)
    assert dataset.reads == 4


def test_the_last_item_is_not_pickled() -> None:
    concepts = concepts_from_dataset(MaskedBlocks(3), NAMES)
    concepts.image(2)
    assert pickle.loads(pickle.dumps(concepts))._last is None


class Shifted(MaskedBlocks):
    """The same data set with other pixels in one item."""

    def __init__(self, count: int, changed: int) -> None:
        super().__init__(count)
        self.changed = changed

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, mask = super().__getitem__(index)
        if index == self.changed:
            image = Image.fromarray(np.asarray(image) ^ 1)
        return image, mask


def test_the_fingerprint_is_of_items_and_names() -> None:
    def print_of(dataset: Any, names: Any = NAMES) -> str:
        return concepts_from_dataset(dataset, names).identity.fingerprint

    before = print_of(MaskedBlocks(8))
    assert print_of(MaskedBlocks(8)) == before
    assert print_of(MaskedBlocks(9)) != before
    assert print_of(MaskedBlocks(8), {1: "left", 2: "up"}) != before
    assert print_of(Shifted(8, 5)) != before
    assert concepts_from_dataset(MaskedBlocks(8), NAMES).notes == ()


def test_the_fingerprint_of_many_items_is_of_some_and_that_is_said() -> None:
    concepts = concepts_from_dataset(MaskedBlocks(64), NAMES)
    (note,) = concepts.notes
    assert "of 16 of its 64 items" in note
    every_fourth = Shifted(64, 8)
    between = Shifted(64, 9)
    before = concepts.identity.fingerprint
    assert concepts_from_dataset(every_fourth, NAMES).identity.fingerprint != before
    assert concepts_from_dataset(between, NAMES).identity.fingerprint == before
