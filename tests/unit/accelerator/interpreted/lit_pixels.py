"""The kernel that counts lit pixels against a loop over maps, run by Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from lit_pixel_cases import GEOMETRIES, draw_case, special_cases

from nd_plugin.accelerator import lit_pixels, lit_pixels_triton
from nd_plugin.accelerator.kernels import Kernel
from nd_plugin.accelerator.lit_pixels import LitPixelCounter, equals_plain

CPU = torch.device("cpu")


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("cells", [(7, 5), (1, 1), (2, 9)])
def test_equals_a_loop_over_maps(geometry: str, cells: tuple[int, int]) -> None:
    case = draw_case(cells, (31, 48), geometry=GEOMETRIES[geometry], maps=2)
    counts = lit_pixels_triton.count_lit_pixels(*case.arguments)
    assert torch.equal(counts, case.expected().int())


@pytest.mark.parametrize("name", special_cases())
def test_equals_a_loop_over_maps_in_special_cases(name: str) -> None:
    case = special_cases()[name]
    counts = lit_pixels_triton.count_lit_pixels(*case.arguments)
    assert torch.equal(counts, case.expected().int())


@pytest.mark.parametrize("seed", range(10))
def test_equals_a_loop_over_random_shapes(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    sizes = [
        int(torch.randint(1, limit, (), generator=generator))
        for limit in (20, 20, 60, 90)
    ]
    cells = sizes[0], sizes[1]
    mask = sizes[2], sizes[3]
    dark_share = 0.95 if seed % 2 else 0.3
    case = draw_case(cells, mask, maps=2, dark_share=dark_share, seed=seed)
    counts = lit_pixels_triton.count_lit_pixels(*case.arguments)
    assert torch.equal(counts, case.expected().int())


def test_maps_need_not_be_contiguous() -> None:
    case = draw_case((5, 6), (20, 33))
    transposed = case.maps.transpose(1, 2).contiguous().transpose(1, 2)
    assert not transposed.is_contiguous()
    strided = case.thresholds.repeat_interleave(2)[::2]
    counts = lit_pixels_triton.count_lit_pixels(
        transposed, strided, *case.arguments[2:]
    )
    assert torch.equal(counts, case.expected().int())


def test_no_map_gives_no_row() -> None:
    case = draw_case((5, 6), (20, 33))
    counts = lit_pixels_triton.count_lit_pixels(
        case.maps[:0], case.thresholds[:0], case.images[:0], *case.arguments[3:]
    )
    assert counts.shape == (0, 7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_sample_passes(dtype: torch.dtype) -> None:
    assert equals_plain(lit_pixels_triton, CPU, (dtype, torch.int16))


def test_the_counter_turns_to_the_kernel_when_it_pays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = draw_case((5, 6), (20, 33))
    mask_pixels = 3 * 20 * 33
    kernel = Kernel(
        "counted", lit_pixels_triton.__name__, equals_plain, 2 * mask_pixels
    )
    counter = LitPixelCounter(kernel, 2**20)
    plain_calls = []
    plain = lit_pixels.count_lit_pixels

    def count(*arguments: object, memory: int = 0) -> torch.Tensor:
        plain_calls.append(memory)
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(lit_pixels, "count_lit_pixels", count)
    for _ in range(3):
        assert torch.equal(counter(*case.arguments), case.expected().int())
    # the first job, and the sample that the kernel is compared on
    assert plain_calls == [2**20, 0]
    assert counter.note is None
