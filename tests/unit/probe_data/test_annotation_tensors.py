"""Annotations as tensors: equal to the combinations of labels that they are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from noise_set import Noise, feed
from torch import Tensor

from nd_plugin import Annotation
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.probe_data.annotation_tensors import (
    AnnotationTensors,
    group_by_size,
)
from nd_plugin.probe_data.batch import Batch

pytestmark = pytest.mark.filterwarnings(
    # more workers than processors
    "ignore:This DataLoader will create:UserWarning"
)


def combinations_of(tensors: AnnotationTensors) -> dict[int, LabelCombinations]:
    """Combinations of labels by image, as they are read back from tensors."""
    ends = tensors.concept_counts.cumsum(0)
    combinations = {}
    for row, image in enumerate(tensors.images.tolist()):
        count = int(tensors.combination_counts[row])
        start = int(ends[row] - tensors.concept_counts[row])
        combinations[image] = LabelCombinations(
            tensors.combinations[row].numpy(),
            tensors.members[row, :count].numpy(),
            tensors.concepts[start : int(ends[row])].numpy(),
            tensors.areas[start : int(ends[row])].numpy(),
        )
    return combinations


def assert_equal(tensors: LabelCombinations, expected: LabelCombinations) -> None:
    width = expected.members.shape[1]
    assert np.array_equal(tensors.combinations, expected.combinations)
    assert np.array_equal(tensors.members[:, :width], expected.members)
    assert not tensors.members[:, width:].any()
    assert np.array_equal(tensors.concepts, expected.concepts)
    assert np.array_equal(tensors.areas, expected.areas)


def labels(plane: object, *image_labels: int) -> LabelCombinations:
    array = np.atleast_2d(np.array(plane))
    return LabelCombinations.of(Annotation([array], image_labels), array.shape)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("pictures", [True, False])
def test_tensors_hold_what_the_combinations_hold(
    pictures: bool, workers: int
) -> None:
    mixed = Noise(
        20,
        bad_images={3: OSError("torn")},
        bad_annotations={4: OSError("torn"), 9: OSError("torn")},
        annotations={5: Annotation([np.ones((3, 2), np.uint8)]), 6: Annotation([])},
        native_masks=True,
    )
    whole = feed(mixed, batch=6, workers=workers)
    plain = list(whole.batches(pictures=pictures, annotated=True))
    batches = list(
        whole.batches(pictures=pictures, annotated=True, as_tensors=True)
    )
    assert len(batches) == len(plain) == 4
    for batch, expected in zip(batches, plain, strict=True):
        assert batch.labels == (None,) * len(batch.indices)
        assert torch.equal(batch.indices, expected.indices)
        assert torch.equal(batch.pixels, expected.pixels)
        for name in ("skipped", "image_count", "number", "annotation_remarks"):
            assert getattr(batch, name) == getattr(expected, name)
        of_images = dict(
            zip(expected.indices.tolist(), expected.labels, strict=True)
        )
        combinations = {
            image: of_image
            for tensors in batch.annotations
            for image, of_image in combinations_of(tensors).items()
        }
        readable = [
            image for image, of_image in of_images.items() if of_image is not None
        ]
        assert sorted(combinations) == sorted(readable)
        for image, of_image in combinations.items():
            assert_equal(of_image, of_images[image])  # type: ignore[arg-type]
    sizes = {tensors.size for batch in batches for tensors in batch.annotations}
    assert sizes == {(18, 22), (3, 2), (4, 5)}
    assert [skipped.part for batch in batches for skipped in batch.skipped].count(
        "annotation"
    ) == 2


def test_images_of_one_size_are_in_the_batchs_order() -> None:
    small, large = labels([[1, 2]]), labels([[1], [2]])
    groups = list(group_by_size([7, 3, 9, 1], [small, large, None, small]))
    assert [group.images.tolist() for group in groups] == [[7, 1], [3]]
    assert list(group_by_size([], [])) == []


@pytest.mark.parametrize(
    ("combination_count", "largest_label", "types"),
    [
        (256, 3, (torch.uint8, torch.int16)),
        (257, 2**15 - 1, (torch.int16, torch.int16)),
        (2**15, 2**15, (torch.int16, torch.int32)),
        (2**15 + 1, 2**15 + 1, (torch.int32, torch.int32)),
    ],
)
def test_the_smallest_type_that_holds_the_values(
    combination_count: int,
    largest_label: int,
    types: tuple[torch.dtype, torch.dtype],
) -> None:
    members = np.ones((combination_count, 1), np.int64)
    members[-1] = largest_label
    combinations = np.arange(combination_count)[None]
    labels_of_image = LabelCombinations(
        combinations, members, np.array([0]), np.array([1])
    )
    tensors = AnnotationTensors.of([0], [labels_of_image])
    assert (tensors.combinations.dtype, tensors.members.dtype) == types
    assert tensors.combinations.flatten().tolist() == list(range(combination_count))
    assert tensors.members[0, -1].tolist() == [largest_label]
    assert (
        tensors.nbytes
        == combination_count * sum(dtype.itemsize for dtype in types)
        + 5 * torch.int64.itemsize
    )


def test_pinning_pins_every_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = []

    def pin_memory(tensor: Tensor) -> Tensor:
        copy = tensor.clone()
        pinned.append(copy)
        return copy

    tensors = AnnotationTensors.of([4], [labels([[0, 2]], 1)])
    monkeypatch.setattr(Tensor, "pin_memory", pin_memory)
    of_pinned = tensors.pin_memory()
    assert all(
        copy is original
        for copy, original in zip(pinned, of_pinned.tensors, strict=True)
    )
    assert_equal(combinations_of(of_pinned)[4], combinations_of(tensors)[4])


def test_a_batch_takes_other_tensors_in_place_of_its_own() -> None:
    whole = feed(Noise(4), batch=4)
    (batch,) = whole.batches(annotated=True, as_tensors=True)
    zeros = [torch.zeros_like(tensor) for tensor in batch.tensors]
    changed = batch.with_tensors(zeros)
    assert isinstance(changed, Batch) and changed.pixels.shape == batch.pixels.shape
    assert not any(tensor.any() for tensor in changed.tensors)
    assert changed.number == batch.number
    unchanged = replace(changed, number=9).with_tensors(batch.tensors)
    assert torch.equal(unchanged.pixels, batch.pixels) and unchanged.number == 9
