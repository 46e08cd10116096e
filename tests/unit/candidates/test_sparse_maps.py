"""Sparse maps: cells above the bound and their neighbours decide every mask, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from nd_plugin import Axis, Geometry
from nd_plugin.candidates.sparse_maps import SparseMaps, bytes_of, sparsify
from nd_plugin.method import cell_selection
from nd_plugin.method.activation_masks import find_lit_runs
from nd_plugin.method.upsampling import MaskGrid, finite, upsample
from nd_plugin.receptive_fields.geometry import spread_evenly

CPU = torch.device("cpu")
CELLS = [
    (1, 1),
    (1, 2),
    (2, 2),
    (1, 9),
    (9, 1),
    (3, 3),
    (7, 5),
    (16, 16),
    (16, 17),
    (190, 180),
]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


KINDS = {
    "normal": lambda drawn: drawn,
    "ties": lambda drawn: drawn.round(),
    "mostly zero": lambda drawn: (drawn - 1.5).relu(),
    "all negative": lambda drawn: -drawn.abs() - 1,
    "saturated": lambda drawn: drawn.clamp(-0.5, 0.5),
    "the lowest there is": lambda drawn: torch.where(
        drawn < 0, torch.finfo(drawn.dtype).min, drawn
    ),
    "huge": lambda drawn: drawn.sign() * torch.finfo(drawn.dtype).max,
    "denormal": lambda drawn: drawn * torch.finfo(drawn.dtype).tiny * 1e-5,
    "smooth": lambda drawn: torch.nn.functional.avg_pool2d(drawn, 3, 1, 1),
    "minus infinity here and there": lambda drawn: torch.where(
        drawn < -1.5, -torch.inf, drawn
    ),
}


def drawn(
    kind: str,
    cells: tuple[int, int],
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Maps (image, unit, row, column) of 6 images and 4 units."""
    return KINDS[kind](
        torch.randn(6, 4, *cells, generator=seeded(seed), dtype=dtype)
    )


def bounds(maps: Tensor, quantile: float) -> Tensor:
    """For each unit one of its values, so that some others are equal to it."""
    ordered = maps.transpose(0, 1).flatten(1).sort(dim=1).values
    return ordered[:, int(quantile * (ordered.shape[1] - 1))]


def every(one: SparseMaps, device: torch.device = CPU) -> Tensor:
    return one.maps(torch.arange(len(one.units)), device)


def neighbourhood(lit: Tensor) -> Tensor:
    """``lit`` (map, row, column) and all that touches it, the slow way."""
    found = torch.zeros_like(lit)
    rows, columns = lit.shape[1:]
    for map_, row, column in lit.nonzero().tolist():
        found[
            map_,
            max(row - 1, 0) : min(row + 2, rows),
            max(column - 1, 0) : min(column + 2, columns),
        ] = True
    return found


def mask(maps: Tensor, thresholds: Tensor, geometry: Geometry) -> Tensor:
    """What the runs light, (map, pixel)."""
    found = torch.zeros(len(maps), 40 * 44, dtype=torch.int64)
    for runs in find_lit_runs(
        maps, thresholds, MaskGrid(geometry, (224, 200), (40, 44))
    ):
        for map_, start, length in zip(
            runs.map_index.tolist(),
            runs.starts.tolist(),
            runs.lengths.tolist(),
            strict=True,
        ):
            found[map_, start : start + length] += 1
    return found


@pytest.fixture(params=[2**20, 1], ids=["at once", "map by map"])
def pieces(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setattr(cell_selection, "CELLS_IN_CACHE", request.param)
    cell_selection._positions.cache_clear()
    yield
    cell_selection._positions.cache_clear()


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cells", CELLS[:-1])
def test_what_exceeds_the_bound_and_what_touches_it_is_kept(
    kind: str, cells: tuple[int, int]
) -> None:
    for dtype in (torch.float32, torch.float64):
        maps = drawn(kind, cells, dtype=dtype)
        peaks, bound = maps.amax((2, 3)), bounds(maps, 0.8)
        one = sparsify(maps, torch.arange(6) * 10, peaks, bound)
        image, unit = (peaks > bound).nonzero(as_tuple=True)
        assert (
            one.images.tolist() == (image * 10).tolist()
            and one.units.tolist() == unit.tolist()
        )
        chosen, dense = maps[image, unit], every(one)
        assert torch.equal(one.peaks, peaks[image, unit]) and dense.dtype == dtype
        needed = neighbourhood(chosen > bound[unit, None, None])
        assert torch.equal(dense[needed], finite(chosen)[needed])
        assert ((dense == finite(chosen)) | dense.isneginf()).all(), (
            "the rest is below everything"
        )
        assert one.counts.sum() == len(one.values) == len(one.positions)
        assert (
            one.nbytes == bytes_of(cells, dtype, len(unit), len(one.values))
            and one.nbytes % 8 == 0
        )


@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_that_of_the_whole_map(
    kind: str, cells: tuple[int, int]
) -> None:
    """Whatever the geometry, for every threshold from the bound on."""
    maps, generator, pixels = drawn(kind, cells, 1)[:3], seeded(5), 0
    geometries = [
        spread_evenly(cells, (224, 200)),
        Geometry(Axis(1, -13.7, 190), Axis(1, 17.3, 3.1)),
        Geometry(Axis(1, 32, 0), Axis(1, -1.9, 120.4)),
        Geometry(
            *(
                Axis(1, float(torch.randn((), generator=generator)) * 30, 90)
                for _ in range(2)
            )
        ),
    ]
    bound = bounds(maps, 0.9)
    one = sparsify(maps, torch.arange(3), maps.amax((2, 3)), bound)
    whole, units = finite(maps)[one.images, one.units], one.units.long()
    for geometry in geometries:
        for above in (
            bound,
            bounds(maps, 0.95),
            bounds(maps, 0.99),
            bound.nextafter(torch.tensor(torch.inf)),
        ):
            found = mask(every(one), above[units], geometry)
            assert torch.equal(found, mask(whole, above[units], geometry))
            if maps[maps.isfinite()].abs().max() < 1e30:
                expected = (
                    upsample(
                        maps[one.images, one.units], geometry, (224, 200), (40, 44)
                    )
                    > above[units, None, None]
                )
                assert torch.equal(found, expected.flatten(1).long())
            pixels += int(found.sum())
    assert (
        pixels > 0
        or cells[0] * cells[1] <= 4
        or kind in ("saturated", "huge", "mostly zero")
    )


@pytest.mark.parametrize("cells", CELLS)
def test_without_a_bound_everything_is_kept(cells: tuple[int, int]) -> None:
    maps = drawn("normal", cells)
    one = sparsify(
        maps, torch.arange(6), maps.amax((2, 3)), torch.full((4,), -torch.inf)
    )
    assert (
        torch.equal(every(one), maps.flatten(0, 1))
        and (one.counts == cells[0] * cells[1]).all()
    )
    overhead = (
        1
        if cells[0] * cells[1] <= 256
        else 2
        if cells[0] * cells[1] <= 2**15
        else 4
    )
    assert (
        one.nbytes
        <= maps.nbytes + len(one.units) * (16 + overhead * cells[0] * cells[1]) + 8
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cells", [(1, 1), (7, 5), (16, 17)])
def test_a_better_bound_leaves_the_maps_that_exceed_it(
    kind: str, cells: tuple[int, int]
) -> None:
    maps = drawn(kind, cells)
    peaks, better = maps.amax((2, 3)), bounds(maps, 0.97)
    before = sparsify(maps, torch.arange(6), peaks, bounds(maps, 0.3))
    after, stay = (
        before.above(better, neighbours=True),
        before.peaks > better[before.units],
    )
    for name in ("images", "units", "peaks", "counts"):
        assert torch.equal(getattr(after, name), getattr(before, name)[stay]), name
    assert torch.equal(every(after), every(before)[stay])
    assert (after is before) == bool(stay.all()) and after.above(
        better, neighbours=True
    ) is after


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cells", [(1, 1), (7, 5), (16, 17)])
def test_without_neighbours_it_leaves_the_values_that_exceed_it(
    kind: str, cells: tuple[int, int]
) -> None:
    maps = drawn(kind, cells)
    peaks = maps.amax((2, 3))
    before = sparsify(maps, torch.arange(6), peaks, bounds(maps, 0.3))
    for better in (bounds(maps, 0.3), bounds(maps, 0.97)):
        after, expected = before.above(better, neighbours=False), sparsify(
            maps, torch.arange(6), peaks, better, neighbours=False
        )  # fmt: skip
        for name in (
            "images",
            "units",
            "peaks",
            "counts",
            "positions",
            "values",
            "memory",
        ):
            assert torch.equal(getattr(after, name), getattr(expected, name)), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("neighbours", [True, False])
def test_what_is_lit_are_the_values_above_a_bound(
    kind: str, neighbours: bool
) -> None:
    maps = drawn(kind, (7, 5))
    one = sparsify(
        maps,
        torch.arange(6),
        maps.amax((2, 3)),
        bounds(maps, 0.5),
        neighbours=neighbours,
    )
    for quantile in (0.5, 0.9, 1.0):
        above = bounds(maps, quantile)
        units, values = one.values_above(above)
        image, unit, *place = (maps > above[:, None, None]).nonzero(as_tuple=True)
        assert units.tolist() == unit.tolist() and torch.equal(
            values, maps[image, unit, place[0], place[1]]
        )
    if not neighbours:
        assert len(one.values_above(bounds(maps, 0.5))[1]) == len(one.values), (
            "and nothing else is kept"
        )


@pytest.mark.parametrize("which", [[], [0], [3, 1, 3], [5, 4, 2]])
def test_some_of_the_maps_in_any_order(which: list[int]) -> None:
    maps = drawn("normal", (7, 5))
    one = sparsify(maps, torch.arange(6), maps.amax((2, 3)), bounds(maps, 0.9))
    assert torch.equal(
        one.maps(torch.tensor(which, dtype=torch.int64), CPU), every(one)[which]
    )


def test_few_cells_take_little_memory() -> None:
    """One bright cell in each map of an early layer: nine cells of 34,200."""
    maps = torch.zeros(6, 4, 190, 180)
    maps[..., 77, 55] = 1.0
    one = sparsify(maps, torch.arange(6), maps.amax((2, 3)), torch.zeros(4))
    assert one.counts.tolist() == [9] * 24 and one.nbytes < maps.nbytes / 1500
