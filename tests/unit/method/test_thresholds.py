"""Thresholds of units against the slow twin, from candidates, bounds and statistics."""

from __future__ import annotations

import pytest
import reference
import torch
from random_data import (
    DTYPES,
    KINDS,
    draw_maps,
    draw_values,
    find_thresholds,
    gather_statistics,
    twin_thresholds,
)

from nd_plugin.engine import dissections
from nd_plugin.method.ranks import rank


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_twin(kind: str, dtype: torch.dtype) -> None:
    maps = draw_maps(kind, dtype, 20)
    quantiles = [0.005, 0.1, 0.29, 0.999]
    for at_quantile, quantile in zip(
        find_thresholds(maps, quantiles), quantiles, strict=True
    ):
        assert at_quantile.quantile == quantile and at_quantile.is_known.all()
        assert at_quantile.values.tolist() == twin_thresholds(maps, quantile)
        values_above = (maps > at_quantile.values[:, None, None]).sum((0, 2, 3))
        assert (values_above <= quantile * 240).all()


@pytest.mark.parametrize("locations", [1, 7, 100, 199, 200])
def test_for_any_number_of_locations(locations: int) -> None:
    maps = draw_values("ties", torch.float32, locations).T[:, :, None, None]
    for at_quantile in find_thresholds(maps, [0.005, 0.5]):
        assert at_quantile.values.tolist() == twin_thresholds(
            maps, at_quantile.quantile
        )


def test_it_is_unknown_where_it_was_not_kept_and_never_wrong() -> None:
    maps = draw_maps("normal", torch.float32, 20, 6)
    twin = torch.tensor(twin_thresholds(maps, 0.1))
    level = twin + torch.tensor([-1.0, -1e-3, 0.0, 1e-3, 1.0, -torch.inf])
    (at_quantile,) = find_thresholds(maps, [0.1], level)
    known = at_quantile.is_known
    assert known.tolist() == [True, True, False, False, False, True]
    assert torch.equal(at_quantile.values[known], twin[known])


def test_constant_units_and_those_that_hardly_leave_0_are_known_without_candidates() -> (
    None
):
    maps = torch.zeros(20, 4, 3, 4)
    maps[:, 1] = -2.5
    maps[3, 2, 0, 0] = 4.0
    maps[5, 2, 1, 1] = -1.0
    maps[:, 3] = 0.5
    (at_quantile,) = find_thresholds(
        maps, [0.1], torch.tensor([0.0, -2.5, 0.0, 0.5])
    )
    assert at_quantile.is_known.all()
    assert at_quantile.values.tolist() == [0.0, -2.5, 0.0, 0.5]


@pytest.mark.parametrize("tau", [0.005, 0.29, 0.5, 0.75])
@pytest.mark.parametrize("images", [1, 3, 25])
def test_sparse_and_dead_equal_the_twins(tau: float, images: int) -> None:
    locations = images * 4
    units = [
        (torch.arange(locations) < nonzero) * -1.5
        for nonzero in range(locations + 1)
    ]
    values = torch.stack(units, dim=1)  # (location, unit)
    maps = values.view(images, 4, -1).transpose(1, 2)[..., None]
    statistics = gather_statistics(
        maps, torch.arange(images), rank(tau, locations) + 1
    )
    twin_values = maps.transpose(0, 1).flatten(1).numpy()
    assert (
        dissections._sparse(statistics, tau).tolist()
        == reference.sparse(twin_values, tau).tolist()
    )
    assert (~statistics.varied).tolist() == reference.dead(twin_values).tolist()
