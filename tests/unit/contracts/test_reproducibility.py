"""Maps of one image, alone, in a batch, and again: equal up to rounding or said to differ."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nd_plugin import Reproducibility, examine_reproducibility, nearly_equal

IMAGES = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def examined(function: Callable[[Tensor], Tensor]) -> Reproducibility:
    """Examine a model with a harmless layer, and one that applies ``function``."""
    return examine_reproducibility(
        lambda images: {"safe": images * 2, "odd": function(images)}, IMAGES
    )


def test_maps_that_depend_on_nothing_but_their_image() -> None:
    reproducibility = examined(lambda images: images.relu_())
    assert reproducibility == Reproducibility()
    assert reproducibility.unreliable == ()
    assert not reproducibility.needs_single_images


def test_random_maps_name_layer_reason_and_remedy() -> None:
    reproducibility = examined(lambda images: images + torch.rand_like(images))
    assert reproducibility.random == ("odd",)
    assert not reproducibility.needs_single_images
    (reason,) = reproducibility.unreliable
    assert reason.startswith("layer 'odd': two runs of the same images")
    assert "dropout" in reason and "choose a layer in front of it" in reason


def test_maps_that_change_with_a_state_count_as_random() -> None:
    run_count = 0

    def count(images: Tensor) -> Tensor:
        nonlocal run_count
        run_count += 1
        return images * run_count

    assert examined(count).random == ("odd",)


def test_statistics_of_the_batch_make_images_run_alone() -> None:
    reproducibility = examined(lambda images: images - images.mean(0, keepdim=True))
    assert reproducibility.batch_dependent == ("odd",)
    assert reproducibility.needs_single_images
    assert reproducibility.unreliable == ()


def test_statistics_of_the_batch_in_a_model_that_takes_no_single_image() -> None:
    def deviation(images: Tensor) -> Tensor:
        if len(images) == 1:
            raise RuntimeError("more than one value per channel")
        return images - images.mean(0, keepdim=True)

    reproducibility = examined(deviation)
    assert not reproducibility.needs_single_images
    (reason,) = reproducibility.unreliable
    assert "'odd'" in reason and "fails on single images" in reason


def test_a_model_that_takes_no_single_image_and_keeps_images_apart() -> None:
    def double(images: Tensor) -> Tensor:
        if len(images) == 1:
            raise RuntimeError("a batch of two")
        return images * 2

    assert examined(double).unreliable == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_themselves(value: float) -> None:
    maps = torch.tensor([1.0, value])
    assert nearly_equal(maps, maps.clone())
    assert not nearly_equal(maps, torch.tensor([1.0, 2.0]))
    assert not nearly_equal(torch.tensor([1.0, 2.0]), maps)
    assert not nearly_equal(torch.tensor([3.0, value]), maps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rounding_is_no_difference(dtype: torch.dtype) -> None:
    maps = torch.linspace(-1, 1, 64).to(dtype)
    unit_in_the_last_place = torch.finfo(dtype).eps
    assert nearly_equal(maps * (1 + unit_in_the_last_place), maps)
    assert not nearly_equal(maps * 1.1, maps)


def test_another_shape_is_a_difference_and_nothing_equals_nothing() -> None:
    assert not nearly_equal(torch.zeros(2, 1), torch.zeros(2))
    assert nearly_equal(torch.zeros(0, 3), torch.zeros(0, 3))
