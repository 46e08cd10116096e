"""`find_lit_runs`: exactly the pixels of M_k, to the last bit, without most of S_k."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nd_plugin import Axis, Geometry
from nd_plugin.method import activation_masks
from nd_plugin.method.activation_masks import expand_runs, find_lit_runs
from nd_plugin.method.mask_strips import AxisStrips, strips
from nd_plugin.method.upsampling import MaskAxis, MaskGrid, taps, upsample
from nd_plugin.receptive_fields.geometry import spread_evenly

Size = tuple[int, int]

CPU = torch.device("cpu")
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


def plain_masks(maps: Tensor, thresholds: Tensor, grid: MaskGrid) -> Tensor:
    """Upsample everything: (map, row, column) bool."""
    return (
        upsample(maps, grid.geometry, grid.image, grid.mask)
        > thresholds[:, None, None]
    )


def plain_strips(first_cells: list[int]) -> list[list[int]]:
    """Pixels of each strip, from the first cell of each pixel; clamped ends are not cut."""
    pixels_of_strips: list[list[int]] = []
    for pixel, cell in enumerate(first_cells):
        if pixel and cell == first_cells[pixel - 1]:
            pixels_of_strips[-1].append(pixel)
        else:
            pixels_of_strips.append([pixel])
    return pixels_of_strips


def plain_search(
    left: float, rise: float, threshold: float, strip_weights: Tensor
) -> tuple[int, int]:
    """Count the lit pixels of a line, and return the first (the bright end, if there is none)."""
    lit = (strip_weights * rise + left > threshold).tolist()
    if any(lit):
        return sum(lit), lit.index(True)
    ascends = (rise > 0) == bool(strip_weights[0] <= strip_weights[-1])
    return 0, len(lit) if ascends else 0


def plain_expansion(
    starts: list[int], tags: list[int], lengths: list[int]
) -> tuple[list[int], list[int]]:
    """Pixels of all runs, and their tags."""
    pixels: list[int] = []
    pixel_tags: list[int] = []
    for start, tag, length in zip(starts, tags, lengths, strict=True):
        pixels += range(start, start + length)
        pixel_tags += [tag] * length
    return pixels, pixel_tags


def draw(maps: Tensor, thresholds: Tensor, grid: MaskGrid) -> Tensor:
    """Number of runs that hold each pixel, (map, row, column)."""
    rows, columns = grid.mask
    run_count = torch.zeros(len(maps), rows * columns, dtype=torch.int64)
    for runs in find_lit_runs(maps, thresholds, grid):
        fields = (
            runs.map_index.tolist(),
            runs.starts.tolist(),
            runs.lengths.tolist(),
        )
        for map_index, start, length in zip(*fields, strict=True):
            last = start + length - 1
            assert length == 0 or start // columns == last // columns, (
                "a run stays in its row"
            )
            run_count[map_index, start : start + length] += 1
    return run_count.view(-1, rows, columns)


def check(maps: Tensor, thresholds: Tensor, grid: MaskGrid) -> int:
    """Assert that the runs draw the mask, and return its pixels."""
    expected = plain_masks(maps, thresholds, grid)
    assert torch.equal(draw(maps, thresholds, grid), expected.long())
    return int(expected.sum())


def pick_thresholds(maps: Tensor, grid: MaskGrid, seed: int) -> list[Tensor]:
    """For each map: a value of a cell, an interpolated one and its neighbours, and infinities."""

    def pick(values: Tensor) -> Tensor:
        indices = torch.randint(
            values[0].numel(), (len(values), 1), generator=seeded(seed)
        )
        return values.flatten(1).gather(1, indices)[:, 0]

    cell = pick(maps)
    interpolated = pick(upsample(maps, grid.geometry, grid.image, grid.mask))
    infinity = torch.full_like(cell, torch.inf)
    return [
        cell,
        interpolated,
        interpolated.nextafter(infinity),
        interpolated.nextafter(-infinity),
        -infinity,
        infinity,
        cell * 0,
    ]


@pytest.mark.parametrize("rows", AXES)
@pytest.mark.parametrize("columns", AXES)
def test_it_is_the_mask_for_any_geometry(rows: str, columns: str) -> None:
    grid = MaskGrid(Geometry(AXES[rows], AXES[columns]), (64, 96), (21, 30))
    pixels = 0
    for cells in CELLS:
        maps = torch.randn(3, *cells, generator=seeded(sum(cells)))
        for thresholds in pick_thresholds(maps, grid, 0)[:4]:
            pixels += check(maps, thresholds, grid)
    assert pixels > 0


@pytest.mark.parametrize(
    "mask", [(1, 1), (1, 130), (130, 1), (2, 3), (112, 112), (7, 7)]
)
@pytest.mark.parametrize("cells", CELLS)
def test_masks_larger_and_smaller_than_the_maps(cells: Size, mask: Size) -> None:
    maps = torch.randn(2, *cells, generator=seeded(1))
    even = spread_evenly(cells, (224, 224))
    uneven = Geometry(Axis(1, 32, 0), Axis(1, -17.3, 200))
    for geometry in (even, uneven):
        grid = MaskGrid(geometry, (224, 224), mask)
        for thresholds in pick_thresholds(maps, grid, 1):
            check(maps, thresholds, grid)


def near(base: float, dtype: torch.dtype, maps: Tensor) -> Tensor:
    """Values a few units in the last place around ``base``."""
    centre = torch.tensor(base, dtype=dtype)
    step = centre.nextafter(torch.tensor(torch.inf, dtype=dtype)) - centre
    return centre + step * (maps * 3).round().to(dtype)


VALUES: dict[str, Callable[[Tensor, torch.dtype], Tensor]] = {
    "normal": lambda maps, dtype: maps.to(dtype),
    "ties": lambda maps, dtype: maps.round().to(dtype),
    "mostly zero": lambda maps, dtype: (maps - 1).relu().to(dtype),
    "zeros of both signs": lambda maps, dtype: (
        maps.round().to(dtype) * 0.0 * maps.sign().to(dtype)
    ),
    "all negative": lambda maps, dtype: -maps.to(dtype).abs() - 1,
    "saturated": lambda maps, dtype: maps.clamp(-0.5, 0.5).to(dtype),
    "small differences at 1e6": lambda maps, dtype: 1e6 + maps.to(dtype),
    "last places at 1e6": lambda maps, dtype: near(1e6, dtype, maps),
    "last places at 1": lambda maps, dtype: near(1.0, dtype, maps),
    "last places at -2**24": lambda maps, dtype: near(-(2.0**24), dtype, maps),
    "denormal": lambda maps, dtype: (
        maps.to(dtype) * (torch.finfo(dtype).tiny * 1e-5)
    ),
    "around the smallest normal": lambda maps, dtype: (
        maps.to(dtype) * torch.finfo(dtype).tiny
    ),
    "of all sizes": lambda maps, dtype: (
        maps.to(dtype) * 10.0 ** (8 * maps.flip(1).to(dtype))
    ),
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
            grid = MaskGrid(geometry, (96, 96), (48, 57))
            for thresholds in pick_thresholds(maps, grid, seed):
                check(maps, thresholds, grid)


@pytest.mark.parametrize("seed", range(60))
def test_random_geometries(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = seeded(seed)

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=generator))

    def axis() -> Axis:
        stride = 10 ** (4 * float(torch.rand(1, generator=generator)) - 2)
        direction = 1 if integer(0, 1) else -1
        offset = float(torch.randn(1, generator=generator)) * 60 + 20
        return Axis(1, direction * stride, offset)

    def size(largest: int) -> Size:
        return integer(1, largest), integer(1, largest)

    cells = size(20)
    image = size(200)
    mask = size(60)
    grid = MaskGrid(Geometry(axis(), axis()), image, mask)
    maps = torch.randn(integer(1, 5), *cells, generator=generator)
    maps = maps.round(decimals=1) if integer(0, 1) else maps + 1e6 * integer(0, 1)
    monkeypatch.setattr(activation_masks, "LINES_AT_ONCE", integer(1, 200))
    for thresholds in pick_thresholds(maps, grid, seed):
        check(maps, thresholds, grid)


@pytest.mark.parametrize("lines", [1, 40, 1000])
def test_it_comes_in_pieces_that_fit_into_the_cache(
    lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = torch.randn(5, 7, 6, generator=seeded(2))
    medians = maps.flatten(1).median(1).values
    grid = MaskGrid(spread_evenly((7, 6), (64, 64)), (64, 64), (40, 44))
    in_one_piece = draw(maps, medians, grid)
    assert len(list(find_lit_runs(maps, medians, grid))) == 1
    monkeypatch.setattr(activation_masks, "LINES_AT_ONCE", lines)
    assert len(list(find_lit_runs(maps, medians, grid))) > 1
    assert (
        torch.equal(draw(maps, medians, grid), in_one_piece)
        and in_one_piece.max() == 1
    )


def test_maps_need_not_be_contiguous() -> None:
    maps = torch.randn(6, 9, 4, generator=seeded(3)).transpose(1, 2)[::2]
    assert not maps.is_contiguous()
    grid = MaskGrid(spread_evenly((4, 9), (64, 64)), (64, 64), (30, 31))
    assert check(maps, torch.tensor([0.0, 0.5, -1.0]), grid) > 0


def test_dark_maps_and_no_maps_give_no_pixel() -> None:
    grid = MaskGrid(spread_evenly((3, 3), (9, 9)), (9, 9), (9, 9))
    for maps in (torch.zeros(2, 3, 3), torch.empty(0, 3, 3)):
        for runs in find_lit_runs(maps, torch.zeros(len(maps)), grid):
            assert not len(runs.map_index)


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("cell_count", [1, 2, 7, 60])
def test_strips_lay_every_pixel_between_its_two_cells(
    name: str, cell_count: int
) -> None:
    axis = MaskAxis(AXES[name], 64, 50)
    cut = strips(axis, cell_count, CPU, torch.float64)
    cells = taps(axis, cell_count)
    pixel = 0
    for strip, length in enumerate(cut.length.tolist()):
        assert int(cut.start[strip]) == pixel and length > 0
        for pixel_of_strip in range(length):
            assert cut.first[strip] == cells.first[pixel]
            assert cut.second[strip] == cells.second[pixel]
            assert cut.weight[pixel_of_strip, strip] == cells.weight[pixel]
            pixel += 1
        assert cut.weight[length:, strip].isnan().all()
    assert pixel == 50


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("cell_count", [1, 2, 7, 60])
def test_strips_are_the_plain_ones_with_clamped_ends_cut(
    name: str, cell_count: int
) -> None:
    axis = MaskAxis(AXES[name], 64, 50)
    plain = plain_strips(taps(axis, cell_count).first.tolist())
    inner = plain[1:-1] or plain
    longest = max(len(pixels) for pixels in inner)
    expected = []
    for pixels in plain:
        expected += [
            pixels[start : start + longest]
            for start in range(0, len(pixels), longest)
        ]
    cut = strips(axis, cell_count, CPU, torch.float64)
    assert cut.start.tolist() == [pixels[0] for pixels in expected]
    assert cut.length.tolist() == [len(pixels) for pixels in expected]


def random_lines(
    columns: AxisStrips, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left edge, rise, threshold and column strip of some lines, some flat; (line,) each."""
    generator = seeded(6)
    left = torch.randn(500, generator=generator).round(decimals=1).to(dtype)
    rise = torch.randn(500, generator=generator).round(decimals=1).to(dtype)
    share = torch.rand(500, generator=generator).round(decimals=1).to(dtype)
    strip = torch.randint(len(columns.start), (500,), generator=generator)
    return left, rise, left + share * rise, strip.int()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "name", ["ResNet-18's layer4", "flipped, uneven", "tiny", "huge"]
)
def test_the_search_equals_the_plain_one(name: str, dtype: torch.dtype) -> None:
    columns = strips(MaskAxis(AXES[name], 64, 50), 7, CPU, dtype)
    left, rise, threshold, strip = random_lines(columns, dtype)
    lengths, first_pixels = activation_masks._lit_counts_and_firsts(
        left, rise, threshold, columns, strip
    )
    for line in range(len(left)):
        strip_length = int(columns.length[strip[line]])
        strip_weights = columns.weight[:strip_length, strip[line]]
        expected = plain_search(
            left[line], rise[line], threshold[line], strip_weights
        )  # type: ignore[arg-type]
        assert (int(lengths[line]), int(first_pixels[line])) == expected


@pytest.mark.parametrize("run_count", [0, 1, 2, 300])
def test_runs_are_expanded_as_plainly(run_count: int) -> None:
    starts = torch.randint(
        2**31 - 100, (run_count,), generator=seeded(7), dtype=torch.int32
    )
    tags = torch.randint(
        2**31 - 1, (run_count,), generator=seeded(8), dtype=torch.int32
    )
    lengths = torch.randint(5, (run_count,), generator=seeded(9), dtype=torch.int32)
    pixels, pixel_tags = expand_runs(starts, tags, lengths)
    expected = plain_expansion(starts.tolist(), tags.tolist(), lengths.tolist())
    assert (pixels.tolist(), pixel_tags.tolist()) == expected
    assert pixels.dtype == pixel_tags.dtype == torch.int32


def test_expansion_leaves_its_arguments_as_they_are() -> None:
    starts = torch.tensor([7, 20, 20, 3])
    tags = torch.tensor([5, 9, 1, 2])
    lengths = torch.tensor([2, 0, 1, 3])
    copies = (starts.clone(), tags.clone(), lengths.clone())
    pixels, pixel_tags = expand_runs(starts, tags, lengths)
    assert pixels.tolist() == [7, 8, 20, 3, 4, 5]
    assert pixel_tags.tolist() == [5, 5, 1, 2, 2, 2]
    for argument, copy in zip((starts, tags, lengths), copies, strict=True):
        assert torch.equal(argument, copy)
