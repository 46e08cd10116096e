"""`lit_runs`: exactly the pixels of M_k, to the last bit, without most of S_k."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nd_plugin import Axis, Geometry
from nd_plugin.method import activation_masks
from nd_plugin.method.activation_masks import lit_runs, strips
from nd_plugin.method.upsampling import taps, upsample
from nd_plugin.receptive_fields.geometry import spread_evenly

Size = tuple[int, int]

AXES = {
    "ResNet-18's layer4": Axis(435, 32, 0),
    "wide": Axis(851, 32, 31),
    "fine, begun before the edge": Axis(1, 1 / 3, -5.25),
    "begun beyond the edge": Axis(9, 7.5, 100),
    "flipped": Axis(3, -4, 60),
    "flipped, uneven": Axis(3, -3.7, 41.3),
    "huge": Axis(1, 1e9, 5),
    "huge, flipped": Axis(1, -1e30, -5),
    "tiny": Axis(1, 1e-9, 20),
    "tiny, flipped": Axis(1, -(2.0**-21), 20),
    "as coarse as a weight": Axis(1, 2.0**20, 3),
    "far before": Axis(1, 4, -1e9),
    "far behind": Axis(1, 4, 1e9),
}
CELLS: list[Size] = [(1, 1), (1, 9), (9, 1), (2, 7), (7, 5), (40, 45)]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lit(maps: Tensor, thresholds: Tensor, geometry: Geometry, image: Size, mask: Size) -> Tensor:
    """The mask (map, row, column) that the runs draw: how often each pixel is in one."""
    found = torch.zeros(len(maps), mask[0] * mask[1], dtype=torch.int64)
    for runs in lit_runs(maps, thresholds, geometry, image, mask):
        for map_, start, length in zip(
            runs.maps.tolist(), runs.starts.tolist(), runs.lengths.tolist(), strict=True
        ):
            assert length == 0 or start // mask[1] == (start + length - 1) // mask[1], (
                "a run stays in its row"
            )
            found[map_, start : start + length] += 1
    return found.view(-1, *mask)


def check(maps: Tensor, thresholds: Tensor, geometry: Geometry, image: Size, mask: Size) -> int:
    """Assert that the runs are the mask; gives its pixels."""
    expected = upsample(maps, geometry, image, mask) > thresholds[:, None, None]
    assert torch.equal(lit(maps, thresholds, geometry, image, mask), expected.long())
    return int(expected.sum())


def some_thresholds(maps: Tensor, upsampled: Tensor, seed: int) -> list[Tensor]:
    """For each map: its own values, interpolated values and their neighbours, and what is beyond all of them."""

    def drawn(values: Tensor) -> Tensor:
        return values.flatten(1).gather(
            1, torch.randint(values[0].numel(), (len(values), 1), generator=seeded(seed))
        )[:, 0]

    own, between = drawn(maps), drawn(upsampled)
    infinity = torch.full_like(own, torch.inf)
    return [
        own,
        between,
        between.nextafter(infinity),
        between.nextafter(-infinity),
        -infinity,
        infinity,
        own * 0,
    ]


@pytest.mark.parametrize("rows", AXES)
@pytest.mark.parametrize("columns", AXES)
def test_it_is_the_mask_for_any_geometry(rows: str, columns: str) -> None:
    geometry, pixels = Geometry(AXES[rows], AXES[columns]), 0
    for cells in CELLS:
        maps = torch.randn(3, *cells, generator=seeded(sum(cells)))
        for thresholds in some_thresholds(maps, upsample(maps, geometry, (64, 96), (21, 30)), 0)[
            :4
        ]:
            pixels += check(maps, thresholds, geometry, (64, 96), (21, 30))
    assert pixels > 0


@pytest.mark.parametrize("mask", [(1, 1), (1, 130), (130, 1), (2, 3), (112, 112), (7, 7)])
@pytest.mark.parametrize("cells", CELLS)
def test_masks_larger_and_smaller_than_the_maps(cells: Size, mask: Size) -> None:
    maps = torch.randn(2, *cells, generator=seeded(1))
    for geometry in (
        spread_evenly(cells, (224, 224)),
        Geometry(Axis(1, 32, 0), Axis(1, -17.3, 200)),
    ):
        for thresholds in some_thresholds(maps, upsample(maps, geometry, (224, 224), mask), 1):
            check(maps, thresholds, geometry, (224, 224), mask)


def near(base: float, dtype: torch.dtype, maps: Tensor) -> Tensor:
    """Values a few units in the last place around ``base``."""
    centre = torch.tensor(base, dtype=dtype)
    step = centre.nextafter(torch.tensor(torch.inf, dtype=dtype)) - centre
    return centre + step * (maps * 3).round().to(dtype)


VALUES = {
    "normal": lambda maps, dtype: maps.to(dtype),
    "ties": lambda maps, dtype: maps.round().to(dtype),
    "mostly zero": lambda maps, dtype: (maps - 1).relu().to(dtype),
    "zeros of both signs": lambda maps, dtype: maps.round().to(dtype) * 0.0 * maps.sign().to(dtype),
    "all negative": lambda maps, dtype: -maps.to(dtype).abs() - 1,
    "saturated": lambda maps, dtype: maps.clamp(-0.5, 0.5).to(dtype),
    "small differences at 1e6": lambda maps, dtype: 1e6 + maps.to(dtype),
    "last places at 1e6": lambda maps, dtype: near(1e6, dtype, maps),
    "last places at 1": lambda maps, dtype: near(1.0, dtype, maps),
    "last places at -2**24": lambda maps, dtype: near(-(2.0**24), dtype, maps),
    "denormal": lambda maps, dtype: maps.to(dtype) * (torch.finfo(dtype).tiny * 1e-5),
    "around the smallest normal": lambda maps, dtype: maps.to(dtype) * torch.finfo(dtype).tiny,
    "of all sizes": lambda maps, dtype: maps.to(dtype) * 10.0 ** (8 * maps.flip(1).to(dtype)),
    "huge": lambda maps, dtype: maps.to(dtype) * (torch.finfo(dtype).max / 20),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", VALUES)
def test_rounding_moves_no_pixel(kind: str, dtype: torch.dtype) -> None:
    for seed, cells in enumerate([(7, 5), (1, 6), (3, 14)]):
        maps = VALUES[kind](torch.randn(4, *cells, generator=seeded(seed)), dtype)
        assert maps.dtype == dtype
        for geometry in (
            spread_evenly(cells, (96, 96)),
            Geometry(Axis(1, 13.7, 3.1), Axis(1, -9.3, 90)),
            Geometry(Axis(1, 32, 0), Axis(1, 32, 0)),
        ):
            for thresholds in some_thresholds(
                maps, upsample(maps, geometry, (96, 96), (48, 57)), seed
            ):
                check(maps, thresholds, geometry, (96, 96), (48, 57))


@pytest.mark.parametrize("seed", range(60))
def test_random_geometries(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = seeded(seed)

    def whole(least: int, most: int) -> int:
        return int(torch.randint(least, most + 1, (1,), generator=generator))

    def axis() -> Axis:
        size = 10 ** (4 * float(torch.rand(1, generator=generator)) - 2)
        return Axis(
            1, size if whole(0, 1) else -size, float(torch.randn(1, generator=generator)) * 60 + 20
        )

    cells, image, mask = (tuple(whole(1, most) for _ in range(2)) for most in (20, 200, 60))
    geometry = Geometry(axis(), axis())
    maps = torch.randn(whole(1, 5), *cells, generator=generator)
    maps = maps.round(decimals=1) if whole(0, 1) else maps + 1e6 * whole(0, 1)
    monkeypatch.setattr(activation_masks, "AT_ONCE", whole(1, 200))
    for thresholds in some_thresholds(maps, upsample(maps, geometry, image, mask), seed):  # type: ignore[arg-type]
        check(maps, thresholds, geometry, image, mask)  # type: ignore[arg-type]


@pytest.mark.parametrize("at_once", [1, 40, 1000])
def test_it_comes_in_pieces_that_fit_into_the_cache(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = torch.randn(5, 7, 6, generator=seeded(2))
    given = (
        maps,
        maps.flatten(1).median(1).values,
        spread_evenly((7, 6), (64, 64)),
        (64, 64),
        (40, 44),
    )
    whole = lit(*given)
    assert len(list(lit_runs(*given))) == 1
    monkeypatch.setattr(activation_masks, "AT_ONCE", at_once)
    pieces = list(lit_runs(*given))
    assert len(pieces) > 1
    assert torch.equal(lit(*given), whole) and whole.max() == 1


def test_maps_need_not_be_contiguous() -> None:
    maps = torch.randn(6, 9, 4, generator=seeded(3)).transpose(1, 2)[::2]
    assert not maps.is_contiguous()
    assert (
        check(
            maps,
            torch.tensor([0.0, 0.5, -1.0]),
            spread_evenly((4, 9), (64, 64)),
            (64, 64),
            (30, 31),
        )
        > 0
    )


def test_dark_maps_and_no_maps_give_no_pixel() -> None:
    geometry = spread_evenly((3, 3), (9, 9))
    for maps in (torch.zeros(2, 3, 3), torch.empty(0, 3, 3)):
        assert not any(
            len(runs.maps)
            for runs in lit_runs(maps, torch.zeros(len(maps)), geometry, (9, 9), (9, 9))
        )


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("cells", [1, 2, 7, 60])
def test_strips_lay_every_pixel_between_its_two_cells(name: str, cells: int) -> None:
    found = strips(AXES[name], cells, 64, 50, torch.device("cpu"), torch.float64)
    expected = taps(AXES[name], cells, 64, 50)
    pixel = 0
    for strip in range(len(found.start)):
        length = int(found.length[strip])
        assert int(found.start[strip]) == pixel and length > 0
        for place in range(length):
            assert (
                found.first[strip] == expected.first[pixel]
                and found.second[strip] == expected.second[pixel]
            )
            assert found.weight[place, strip] == expected.weight[pixel]
            pixel += 1
        assert found.weight[length:, strip].isnan().all()
    assert pixel == 50
