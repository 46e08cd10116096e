"""Triton's kernels on a GPU against their plain versions, at the sizes of real runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import intersection_cases
import lit_pixel_cases
import map_summary_cases
import pytest
import torch
from lit_pixel_cases import LitPixelCase
from torch import Tensor

from nd_plugin import Axis, Geometry
from nd_plugin.accelerator import intersections, lit_pixels, peaks
from nd_plugin.accelerator.intersections import ImageLabels, UnitSums
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.receptive_fields.geometry import spread_evenly

if not torch.cuda.is_available():
    pytest.skip("no GPU was found", allow_module_level=True)
pytest.importorskip("triton", reason="Triton is not installed")

from nd_plugin.accelerator import (
    intersections_triton,
    lit_pixels_triton,
    peaks_triton,
)

GPU = torch.device("cuda")
GIB = 2**30
FUSED = re.compile(r"\b(fma\.rn|FFMA|DFMA)\b")
RESNET_LAYER4 = Geometry(Axis(435, 32, 0), Axis(435, 32, 0))
REAL_SIZES = [(4096, 7), (4096, 14), (512, 56), (64, 224)]


@pytest.fixture(autouse=True)
def free_memory() -> Iterator[None]:
    yield
    torch.cuda.empty_cache()


def on_gpu(case: LitPixelCase) -> LitPixelCase:
    return LitPixelCase(
        case.maps.to(GPU),
        case.thresholds.to(GPU),
        case.images.to(GPU),
        case.grid,
        case.combinations.to(GPU),
        case.combination_count,
    )


def real_case(
    maps: int,
    cells: int,
    dtype: torch.dtype = torch.float32,
    combinations: int = 30,
) -> LitPixelCase:
    """Draw a case with masks of 112 x 112 pixels."""
    return lit_pixel_cases.draw_case(
        (cells, cells),
        (112, 112),
        geometry=RESNET_LAYER4 if cells == 7 else None,
        input_size=(224, 224),
        dtype=dtype,
        maps=maps,
        images=16,
        combinations=combinations,
        combinations_dtype=torch.int16,
    )


@pytest.mark.parametrize(("maps", "cells"), REAL_SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lit_pixels_of_real_sizes(
    maps: int, cells: int, dtype: torch.dtype
) -> None:
    case = on_gpu(real_case(maps, cells, dtype))
    counts = lit_pixels_triton.count_lit_pixels(*case.arguments)
    assert counts.sum() > maps
    assert torch.equal(counts, lit_pixels.count_lit_pixels(*case.arguments))


@pytest.mark.parametrize(("maps", "cells"), [(500, 7), (50, 56)])
def test_lit_pixels_are_those_of_the_cpu(maps: int, cells: int) -> None:
    case = real_case(maps, cells)
    counts = lit_pixels_triton.count_lit_pixels(*on_gpu(case).arguments)
    assert torch.equal(counts.cpu(), lit_pixels.count_lit_pixels(*case.arguments))


@pytest.mark.parametrize("combinations", [1, 500])
def test_lit_pixels_of_few_and_many_combinations(combinations: int) -> None:
    case = on_gpu(real_case(2000, 7, combinations=combinations))
    counts = lit_pixels_triton.count_lit_pixels(*case.arguments)
    assert torch.equal(counts, lit_pixels.count_lit_pixels(*case.arguments))


@pytest.mark.parametrize("name", lit_pixel_cases.special_cases())
def test_lit_pixels_in_special_cases(name: str) -> None:
    case = lit_pixel_cases.special_cases()[name]
    counts = lit_pixels_triton.count_lit_pixels(*on_gpu(case).arguments)
    assert torch.equal(counts.cpu(), case.expected().int())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_instruction_is_fused(dtype: torch.dtype) -> None:
    case = on_gpu(real_case(8, 7, dtype))
    counts = torch.zeros(8, 30, dtype=torch.int32, device=GPU)
    compiled = lit_pixels_triton.launch(*case.arguments[:-1], counts)
    assert FUSED.search(compiled.asm["ptx"]) is None
    assert FUSED.search(compiled.asm["sass"]) is None


def test_the_sample_reveals_fused_instructions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dtypes = torch.float32, torch.uint8
    assert lit_pixels.equals_plain(lit_pixels_triton, GPU, dtypes)
    fused = lit_pixels_triton.LAUNCH_OPTIONS | {"enable_fp_fusion": True}
    defaults = lit_pixels_triton.launch.__kwdefaults__
    monkeypatch.setitem(defaults, "options", fused)
    assert not lit_pixels.equals_plain(lit_pixels_triton, GPU, dtypes)


def needs_memory(size: float) -> None:
    free, _ = torch.cuda.mem_get_info()
    if free < size:
        pytest.skip(f"{size / GIB:.0f} GiB of GPU memory are needed")


def test_maps_and_masks_beyond_the_range_of_int32() -> None:
    needs_memory(16 * GIB)
    cells = 56 * 56
    pixels = 112 * 112
    map_count = 2**31 // cells + 10
    image_count = 2**31 // pixels + 10
    maps = torch.zeros(map_count, 56, 56, device=GPU)
    maps[-3:] = torch.randn(3, 56, 56, device=GPU)
    combinations = torch.zeros(image_count, 112, 112, dtype=torch.uint8, device=GPU)
    combinations[-1] = torch.randint(5, (112, 112), device=GPU)
    images = torch.arange(map_count, device=GPU) % image_count
    images[-3:] = image_count - 1
    case = LitPixelCase(
        maps,
        torch.full((map_count,), 0.5, device=GPU),
        images,
        MaskGrid(spread_evenly((56, 56), (224, 224)), (224, 224), (112, 112)),
        combinations,
        5,
    )
    counts = lit_pixels_triton.count_lit_pixels(*case.arguments)
    last = LitPixelCase(
        maps[-3:],
        case.thresholds[-3:],
        images[-3:],
        case.grid,
        combinations,
        case.combination_count,
    )
    assert torch.equal(counts[-3:].cpu(), last.expected().int().cpu())
    assert counts[:-3].sum() == 0


def test_the_plain_version_stays_within_its_memory() -> None:
    case = on_gpu(real_case(4096, 14))
    # below the cells that are not stored, too
    all_lit = torch.full_like(case.thresholds, -torch.inf)
    memory = GIB // 4
    lit_pixels.count_lit_pixels(case.maps[:1], all_lit[:1], *case.arguments[2:])
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    counts = lit_pixels.count_lit_pixels(
        case.maps, all_lit, *case.arguments[2:], memory=memory
    )
    peak = torch.cuda.max_memory_allocated() - before
    assert (counts.sum(1) == 112 * 112).all()
    assert memory / 4 < peak < memory + counts.nbytes + 2**22


def test_the_counter_uses_the_kernel_without_a_note() -> None:
    case = on_gpu(real_case(4096, 7))
    kernel = lit_pixels.Kernel(
        "counted",
        lit_pixels_triton.__name__,
        lit_pixels.equals_plain,
        work_before_compiling=0,
    )
    dtypes = case.maps.dtype, case.combinations.dtype
    assert kernel.module(GPU, dtypes, 1) is lit_pixels_triton
    assert kernel.note is None
    counter = lit_pixels.LitPixelCounter(kernel, GIB)
    assert torch.equal(
        counter(*case.arguments), lit_pixels.count_lit_pixels(*case.arguments)
    )


@pytest.mark.parametrize(("units", "cells"), [(512, 7), (1024, 14), (256, 56)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_summary_of_real_sizes(units: int, cells: int, dtype: torch.dtype) -> None:
    maps = torch.randn(16, units, cells, cells, device=GPU, dtype=dtype).relu_()
    maps[3, 5, 2, 1] = torch.nan
    maps[4, 7] = torch.nan
    floors = maps[0, :, 3, 3].contiguous()
    expected = peaks.summarize_maps(maps, floors)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        strided = maps.contiguous(memory_format=memory_format)
        summary = peaks_triton.summarize_maps(strided, floors)
        map_summary_cases.assert_same_summary(summary, expected)


@pytest.mark.parametrize("shape", map_summary_cases.SHAPES)
def test_summary_in_every_memory_format(shape: tuple[int, int, int, int]) -> None:
    maps = map_summary_cases.draw_maps(shape)
    floors = map_summary_cases.draw_floors(maps)
    expected = map_summary_cases.plain_summary(maps, floors)
    for strided in map_summary_cases.memory_formats(maps.to(GPU)).values():
        summary = peaks_triton.summarize_maps(strided, floors.to(GPU))
        on_cpu = peaks.MapSummary(*[tensor.cpu() for tensor in summary])
        map_summary_cases.assert_same_summary(on_cpu, expected)


def test_intersections_of_real_sizes() -> None:
    units, concepts, categories = 512, 1197, 6
    generator = torch.Generator(GPU).manual_seed(0)

    def draw(limit: int, *shape: int) -> Tensor:
        return torch.randint(limit, shape, generator=generator, device=GPU)

    labels = ImageLabels(
        draw(concepts + 1, 64, 300, 5).short(), draw(2, 64, categories).bool()
    )
    lit_pixels_of_maps = draw(4, 2**14, 300).int()
    arguments = lit_pixels_of_maps, draw(64, 2**14), draw(units, 2**14), labels
    sums = UnitSums.empty(units, concepts, categories, GPU)
    expected = UnitSums.empty(units, concepts, categories, GPU)
    intersections_triton.add_intersections(*arguments, sums)
    intersections.add_intersections(*arguments, expected, memory=GIB)
    assert torch.equal(sums.intersections, expected.intersections)
    assert torch.equal(sums.areas, expected.areas)
    assert sums.areas.sum() > 0


@pytest.mark.parametrize("name", intersection_cases.special_cases())
def test_intersections_in_special_cases(name: str) -> None:
    case = intersection_cases.special_cases()[name]
    begun = case.begun_sums()
    sums = UnitSums(begun.intersections.to(GPU), begun.areas.to(GPU))
    lit, images, units, labels = case.arguments
    labels_on_gpu = ImageLabels(labels.members.to(GPU), labels.has_category.to(GPU))
    intersections_triton.add_intersections(
        lit.to(GPU), images.to(GPU), units.to(GPU), labels_on_gpu, sums
    )
    intersection_cases.assert_same_sums(sums, case.expected())
