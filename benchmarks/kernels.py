"""Triton kernels against their plain versions on a GPU: python benchmarks/kernels.py [--sweep]

Prints one JSON line for each case and version: medians of CUDA events in milliseconds, and whether
the results are equal. ``--sweep`` adds other block sizes of the kernel that counts lit pixels.
Needs torch with CUDA, Triton, and nd_plugin on the PYTHONPATH; no data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nd_plugin.accelerator import intersections, lit_pixels, peaks
from nd_plugin.accelerator.intersections import ImageLabels, UnitSums
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.receptive_fields.geometry import spread_evenly

GPU = torch.device("cuda")
IMAGES = 64
INPUT_SIZE = (224, 224)
MASK_SIZE = (112, 112)
ROUNDS = 15
# maps, cells along each axis, combinations of labels, data type
LIT_PIXEL_CASES = [
    (2**17, 7, 30, torch.float32),
    (2**17, 7, 1, torch.float32),
    (2**17, 7, 400, torch.float32),
    (2**17, 7, 30, torch.float64),
    (2**17, 14, 30, torch.float32),
    (2**15, 56, 30, torch.float32),
    (2**12, 224, 30, torch.float32),
]
SWEEP_CASES = [LIT_PIXEL_CASES[index] for index in (0, 4, 5)]
SWEEP = [
    (block, warps)
    for block in ((8, 64), (16, 32), (16, 64), (8, 128), (32, 64), (16, 128))
    for warps in (1, 2, 4, 8)
    if 128 <= block[0] * block[1] // warps <= 1024
]
# units, cells along each axis
PEAK_CASES = [(512, 7), (1024, 14), (256, 56), (64, 224)]
# maps, combinations of labels, labels of a combination
INTERSECTION_CASES = [(2**17, 30, 4), (2**15, 500, 6)]
UNITS, CONCEPTS, CATEGORIES = 512, 1197, 6

Arguments = tuple[Tensor, Tensor, Tensor, MaskGrid, Tensor, int]


def milliseconds(function: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Return the median time of a function on the GPU, after two calls that are not timed."""
    laps: list[float] = []
    for lap in range(rounds + 2):
        start = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        start.record()
        function()
        end.record()
        end.synchronize()
        if lap >= 2:
            laps.append(start.elapsed_time(end))
    return median(laps)


def print_line(case: str, version: str, time_on_gpu: float, **more: Any) -> None:
    """Print one result."""
    line = {
        "case": case,
        "version": version,
        "milliseconds": round(time_on_gpu, 4),
        **more,
        "gpu": torch.cuda.get_device_name(),
    }
    print(json.dumps(line), flush=True)


def smooth_maps(count: int, cells: int, dtype: torch.dtype) -> Tensor:
    """Draw maps whose neighbouring cells are alike, as those of networks are."""
    width = cells // 7 // 2 * 2 + 1
    maps = torch.randn(count, 1, cells, cells, device=GPU, dtype=dtype)
    for _ in range(2):
        maps = F.avg_pool2d(maps, width, 1, width // 2, count_include_pad=False)
    return maps[:, 0]


def lit_pixel_arguments(
    count: int, cells: int, combinations: int, dtype: torch.dtype
) -> Arguments:
    """Draw maps of which a twentieth of the cells is lit, as those of candidates are."""
    maps = smooth_maps(count, cells, dtype)
    flat_maps = maps.flatten(1)
    thresholds = flat_maps.mean(1) + 1.65 * flat_maps.std(1)
    images = torch.arange(count, device=GPU) * IMAGES // count
    patches = torch.randint(combinations, (IMAGES, 1, 9, 9), device=GPU)
    planes = F.interpolate(patches.float(), size=MASK_SIZE)[:, 0]
    combinations_dtype = torch.uint8 if combinations < 256 else torch.int16
    geometry = spread_evenly((cells, cells), INPUT_SIZE)
    return (
        maps,
        thresholds,
        images,
        MaskGrid(geometry, INPUT_SIZE, MASK_SIZE),
        planes.to(combinations_dtype),
        combinations,
    )


def case_name(count: int, cells: int, combinations: int, dtype: torch.dtype) -> str:
    """Describe a case of lit pixels."""
    kind = str(dtype).removeprefix("torch.")
    return f"{count} maps {cells}x{cells}, {combinations} combinations, {kind}"


def time_lit_pixels() -> None:
    """Compare the counting of lit pixels."""
    from nd_plugin.accelerator import lit_pixels_triton

    for case in LIT_PIXEL_CASES:
        name = f"lit pixels: {case_name(*case)}"
        arguments = lit_pixel_arguments(*case)
        plain = partial(lit_pixels.count_lit_pixels, *arguments)
        kernel = partial(lit_pixels_triton.count_lit_pixels, *arguments)
        expected = plain()
        pixels = len(arguments[0]) * MASK_SIZE[0] * MASK_SIZE[1]
        lit_share = round(expected.sum().item() / pixels, 4)
        print_line(name, "plain", milliseconds(plain, 5), lit_share=lit_share)
        is_equal = torch.equal(kernel(), expected)
        print_line(name, "triton", milliseconds(kernel), equal=is_equal)


@dataclass(frozen=True)
class Variant:
    """Way to launch the kernel that counts lit pixels."""

    block: tuple[int, int]  # rows, columns
    warps: int

    @property
    def name(self) -> str:
        """Description in words."""
        rows, columns = self.block
        return f"triton {rows}x{columns}, {self.warps} warps"


def sweep_lit_pixels() -> None:
    """Compare block sizes."""
    from nd_plugin.accelerator import lit_pixels_triton

    for case in SWEEP_CASES:
        arguments = lit_pixel_arguments(*case)
        expected = lit_pixels_triton.count_lit_pixels(*arguments)
        for block, warps in SWEEP:
            variant = Variant(block, warps)
            counts = torch.zeros_like(expected)
            options = lit_pixels_triton.LAUNCH_OPTIONS | {
                "num_warps": variant.warps
            }
            launch = partial(
                lit_pixels_triton.launch,
                *arguments[:-1],
                counts,
                block=variant.block,
                options=options,
            )
            compiled = launch()
            is_equal = torch.equal(counts, expected)
            time_on_gpu = milliseconds(launch)
            print_line(
                f"sweep: {case_name(*case)}",
                variant.name,
                time_on_gpu,
                equal=is_equal,
                registers=compiled.n_regs,
                spills=compiled.n_spills,
            )


def time_peaks() -> None:
    """Compare the summary of maps, and reading them once."""
    from nd_plugin.accelerator import peaks_triton

    for units, cells in PEAK_CASES:
        maps = torch.randn(IMAGES, units, cells, cells, device=GPU).relu_()
        floors = torch.zeros(units, device=GPU)
        for memory_format in (torch.contiguous_format, torch.channels_last):
            strided = maps.contiguous(memory_format=memory_format)
            kind = str(memory_format).removeprefix("torch.")
            name = f"peaks: {IMAGES} x {units} x {cells} x {cells}, {kind}"
            amax = partial(strided.amax, (2, 3))
            print_line(name, "amax alone", milliseconds(amax))
            plain = partial(peaks.summarize_maps, strided, floors)
            kernel = partial(peaks_triton.summarize_maps, strided, floors)
            pairs = zip(plain(), kernel(), strict=True)
            is_equal = all(torch.equal(first, second) for first, second in pairs)
            print_line(name, "plain", milliseconds(plain))
            print_line(name, "triton", milliseconds(kernel), equal=is_equal)


def time_intersections() -> None:
    """Compare the adding up of intersections."""
    from nd_plugin.accelerator import intersections_triton

    for count, combinations, label_count in INTERSECTION_CASES:
        name = f"intersections: {count} maps, {combinations} combinations"
        lit_pixels_of_maps = torch.randint(
            -40, 20, (count, combinations), device=GPU, dtype=torch.int32
        ).clamp_(0)
        members = torch.randint(
            CONCEPTS + 1, (IMAGES, combinations, label_count), device=GPU
        )
        has_category = torch.ones(IMAGES, CATEGORIES, dtype=torch.bool, device=GPU)
        arguments = (
            lit_pixels_of_maps,
            torch.arange(count, device=GPU) * IMAGES // count,
            torch.arange(count, device=GPU) % UNITS,
            ImageLabels(members.short(), has_category),
        )
        plain_sums = UnitSums.empty(UNITS, CONCEPTS, CATEGORIES, GPU)
        kernel_sums = UnitSums.empty(UNITS, CONCEPTS, CATEGORIES, GPU)
        plain = partial(intersections.add_intersections, *arguments, plain_sums)
        kernel = partial(
            intersections_triton.add_intersections, *arguments, kernel_sums
        )
        print_line(name, "plain", milliseconds(plain))
        time_of_kernel = milliseconds(kernel)
        is_equal = torch.equal(plain_sums.intersections, kernel_sums.intersections)
        print_line(name, "triton", time_of_kernel, equal=is_equal)


def time_first_call() -> None:
    """Print how long the first call of the kernel takes, from the import of Triton on."""
    arguments = lit_pixel_arguments(1024, 7, 30, torch.float32)
    torch.cuda.synchronize()
    start = time.perf_counter()
    from nd_plugin.accelerator import lit_pixels_triton

    imported = time.perf_counter()
    lit_pixels_triton.count_lit_pixels(*arguments)
    torch.cuda.synchronize()
    called = time.perf_counter()
    line = {
        "case": "first call",
        "import_seconds": round(imported - start, 3),
        "call_seconds": round(called - imported, 3),
    }
    print(json.dumps(line), flush=True)


def run_first_calls() -> None:
    """Run `time_first_call` in new processes, without and with a compiled kernel on the disk."""
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            subprocess.run(
                [sys.executable, __file__, "--first-call"],
                env=os.environ | {"TRITON_CACHE_DIR": cache},
                check=True,
            )


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--first-call", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.first_call:
        time_first_call()
        return
    time_lit_pixels()
    if options.sweep:
        sweep_lit_pixels()
    time_peaks()
    time_intersections()
    run_first_calls()


if __name__ == "__main__":
    main()
