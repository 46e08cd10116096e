"""Statistics of units: parts add up to the whole, however the probe data set is split."""

from __future__ import annotations

import functools
import operator

import pytest
import torch
from random_data import gather_statistics
from torch import Tensor

from nd_plugin.engine.unit_statistics import TopImages


@pytest.fixture
def maps() -> Tensor:
    """(image, unit, row, column), with ties and zeros; units 1 and 2 are constant and sparse."""
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(12, 5, 6, 6, generator=generator).round(decimals=1).relu()
    maps[:, 1] = 3.0
    maps[:, 2] = (maps[:, 2] - 2.5).relu()
    return maps


@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 7], [3, 1, 8]])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("batch", [1, 5, 12])
def test_they_add_up_for_any_split(
    maps: Tensor, sizes: list[int], backwards: bool, batch: int
) -> None:
    images = torch.arange(12).flip(0) * 3
    statistics = [
        gather_statistics(part_maps, part_images, batch=batch)
        for part_maps, part_images in zip(
            maps.split(sizes), images.split(sizes), strict=True
        )
    ]
    if backwards:
        statistics.reverse()
    total = functools.reduce(operator.add, statistics)
    values = maps.transpose(0, 1).flatten(1)
    assert (
        total.images == 12 and total.locations == 12 * 36 and total.cells == (6, 6)
    )
    assert torch.equal(total.highest, values.amax(1))
    assert (
        torch.equal(total.lowest_peak, maps.amax((2, 3)).amin(0))
        or total.all_varied
    )
    assert total.varied.tolist() == [True, False, True, True, True]
    nonzero = (values != 0).sum(1)
    few = nonzero <= total.enough
    assert few.any()
    assert torch.equal(total.nonzero[few], nonzero[few])
    assert (total.nonzero[~few] > total.enough).all()


@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 7], [3, 1, 8]])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("batch", [1, 5, 12])
def test_top_images_add_up_for_any_split(
    maps: Tensor, sizes: list[int], backwards: bool, batch: int
) -> None:
    images = torch.arange(12).flip(0) * 3
    statistics = [
        gather_statistics(part_maps, part_images, batch=batch)
        for part_maps, part_images in zip(
            maps.split(sizes), images.split(sizes), strict=True
        )
    ]
    if backwards:
        statistics.reverse()
    top = functools.reduce(operator.add, statistics).on_cpu().top
    peaks = maps.amax((2, 3))
    for unit in range(5):
        order = descending(peaks[:, unit], images)[:5]
        assert top.images[unit].tolist() == images[order].tolist()
        assert top.activations[unit].tolist() == peaks[order, unit].tolist()


def descending(peaks: Tensor, images: Tensor) -> list[int]:
    """Indices by falling peaks (image,), ties by ascending images (image,)."""

    def key(index: int) -> tuple[float, int]:
        return -float(peaks[index]), int(images[index])

    return sorted(range(len(peaks)), key=key)


def test_a_unit_that_varies_only_between_parts_is_not_dead() -> None:
    zeros = gather_statistics(torch.zeros(2, 1, 3, 3), torch.arange(2))
    ones = gather_statistics(torch.ones(2, 1, 3, 3), torch.arange(2, 4))
    more_zeros = gather_statistics(torch.zeros(2, 1, 3, 3), torch.arange(2, 4))
    varied = zeros + ones
    assert varied.varied.all() and varied.highest == 1
    assert not (zeros + more_zeros).varied.any()


def test_a_unit_that_varies_within_its_first_image_is_not_dead() -> None:
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, 1, 2, 2] = -1.0
    assert gather_statistics(maps, torch.arange(1)).varied.tolist() == [False, True]


@pytest.mark.parametrize("batch", [1, 7, 300])
@pytest.mark.parametrize("count", [1, 4, 300, 1000])
def test_top_images_are_those_of_a_sort_with_ties_to_the_lower_image(
    batch: int, count: int
) -> None:
    generator = torch.Generator().manual_seed(batch)
    peaks = torch.randn(300, 3, generator=generator).round()
    images = torch.randperm(300, generator=generator)
    top_images = TopImages.empty(count, 3, peaks.dtype, peaks.device)
    for batch_peaks, batch_images in zip(
        peaks.split(batch), images.split(batch), strict=True
    ):
        top_images.update(batch_peaks, batch_images)
    for unit in range(3):
        order = descending(peaks[:, unit], images)[:count]
        assert top_images.best().images[unit].tolist() == images[order].tolist()
        assert (
            top_images.best().activations[unit].tolist()
            == peaks[order, unit].tolist()
        )
