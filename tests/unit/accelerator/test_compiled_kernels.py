"""Triton's kernels compiled for an H100, without one: instructions and variants."""

from __future__ import annotations

import re
from typing import Any

import intersection_cases
import lit_pixel_cases
import map_summary_cases
import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed")

from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from nd_plugin.accelerator import (
    intersections_triton,
    lit_pixels_triton,
    peaks_triton,
)

# in PTX and in machine code
FUSED = re.compile(r"\b(fma\.rn|FFMA|DFMA)\b")
ADDITION = re.compile(r"\b(FADD|DADD)\b")

# compiled kernels of a test, in the order of the launches
Compiled = list[Any]


class Target:
    """What the compiler asks of a GPU's driver; the device has a number that no real one has."""

    def get_current_device(self) -> int:
        return 1000

    def get_current_stream(self, device: int = 0) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Compiled:
    """Compile what is launched, and run nothing."""
    kernels: Compiled = []

    def compile_only(kernel: Any) -> None:
        run = kernel.run

        def compile_kernel(*arguments: Any, warmup: bool, **options: Any) -> Any:
            kernels.append(run(*arguments, warmup=True, **options))
            return kernels[-1]

        monkeypatch.setattr(kernel, "run", compile_kernel)

    compile_only(lit_pixels_triton.count_block_columns)
    compile_only(peaks_triton.summarize_block)
    compile_only(intersections_triton.add_map)
    current = "_active" if hasattr(driver, "_active") else "active"  # before 3.4
    monkeypatch.setattr(driver, current, Target())
    return kernels


def code_of(kernel: Any) -> str:
    return str(kernel.asm["ptx"] + kernel.asm["sass"])


def variants_of(kernels: Compiled) -> set[str]:
    return {kernel.hash for kernel in kernels}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "combinations_dtype", [torch.uint8, torch.int16, torch.int32]
)
def test_multiplications_and_additions_are_rounded_apart(
    compiled: Compiled, dtype: torch.dtype, combinations_dtype: torch.dtype
) -> None:
    case = lit_pixel_cases.draw_case(
        (7, 7), (20, 20), dtype=dtype, combinations_dtype=combinations_dtype
    )
    lit_pixels_triton.count_lit_pixels(*case.arguments)
    (kernel,) = compiled
    code = code_of(kernel)
    assert FUSED.search(code) is None
    assert ADDITION.search(code)
    # denormal numbers are not replaced by zero
    assert ".ftz" not in kernel.asm["ptx"]


def test_without_the_option_they_would_be_fused(compiled: Compiled) -> None:
    case = lit_pixel_cases.draw_case((7, 7), (20, 20))
    options = lit_pixels_triton.LAUNCH_OPTIONS | {"enable_fp_fusion": True}
    counts = torch.zeros(3, 7, dtype=torch.int32)
    kernel = lit_pixels_triton.launch(*case.arguments[:-1], counts, options=options)
    assert re.search(r"\bfma\.rn\b", kernel.asm["ptx"])
    assert re.search(r"\bFFMA\b", kernel.asm["sass"])


def test_one_variant_counts_lit_pixels_of_all_sizes(compiled: Compiled) -> None:
    for cells, mask in (
        ((1, 1), (1, 1)),
        ((7, 7), (112, 112)),
        ((16, 32), (16, 48)),
    ):
        for maps in (1, 16):
            case = lit_pixel_cases.draw_case(
                cells, mask, maps=maps, combinations=maps
            )
            lit_pixels_triton.count_lit_pixels(*case.arguments)
            # not aligned in memory
            lit_pixels_triton.count_lit_pixels(
                case.maps[1:],
                case.thresholds[1:],
                case.images[1:],
                *case.arguments[3:],
            )
    assert len(compiled) == 9
    assert len(variants_of(compiled)) == 1


def test_few_variants_summarize_maps(compiled: Compiled) -> None:
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for units, cells in ((512, 7), (1024, 14), (2048, 7), (832, 7)):
            maps = torch.zeros(2, units, cells, cells)
            strided = maps.contiguous(memory_format=memory_format)
            peaks_triton.summarize_maps(strided, torch.zeros(units))
    assert len(compiled) == 8
    assert len(variants_of(compiled)) <= 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_is_compared_when_maps_are_summarized(
    compiled: Compiled, dtype: torch.dtype
) -> None:
    maps = map_summary_cases.draw_maps((3, 5, 7, 9), dtype)
    floors = map_summary_cases.draw_floors(maps)
    peaks_triton.summarize_maps(maps, floors)
    unordered = r"setp\.(nan|neu|ne)\S*\.f(32|64)|(max|min)\.NaN"
    assert re.search(unordered, compiled[0].asm["ptx"])


def test_one_variant_adds_intersections_of_all_sizes(compiled: Compiled) -> None:
    for maps, combinations, labels in ((1, 1, 1), (16, 300, 2), (5, 16, 4)):
        case = intersection_cases.draw_case(maps, combinations, labels)
        sums = case.begun_sums()
        intersections_triton.add_intersections(*case.arguments, sums)
    assert len(compiled) == 3
    assert len(variants_of(compiled)) == 1
