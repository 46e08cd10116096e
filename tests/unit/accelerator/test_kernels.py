"""`Kernel` and `LitPixelCounter`: which version does the work, and what is noted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from lit_pixel_cases import draw_case

from nd_plugin.accelerator import kernels
from nd_plugin.accelerator.kernels import DTypes, Kernel
from nd_plugin.accelerator.lit_pixels import (
    LitPixelCounter,
    equals_plain,
    lit_pixel_counter,
)

CPU = torch.device("cpu")
DTYPES = (torch.float32, torch.uint8)


@pytest.fixture
def fake_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Triton seem to be installed."""
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda _: object())


@pytest.fixture
def module_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "a_kernel.py").write_text("def double(value): return 2 * value\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "a_kernel"
    sys.modules.pop("a_kernel", None)


def doubles(module: ModuleType, device: torch.device, dtypes: DTypes) -> bool:
    return bool(module.double(4) == 8)


@pytest.mark.usefixtures("fake_triton")
def test_a_kernel_is_used_after_enough_work(module_name: str) -> None:
    kernel = Kernel("numbers were doubled", module_name, doubles, 100)
    assert kernel.module(CPU, DTYPES, 60) is None
    module = kernel.module(CPU, DTYPES, 60)
    assert module and module.double(1) == 2
    assert kernel.module(CPU, DTYPES, 1) is module
    assert kernel.note is None


@pytest.mark.usefixtures("fake_triton")
def test_each_combination_of_types_is_checked_once(module_name: str) -> None:
    checked = []

    def check(module: ModuleType, device: torch.device, dtypes: DTypes) -> bool:
        checked.append(dtypes)
        return True

    kernel = Kernel("numbers were doubled", module_name, check, 0)
    for dtypes in (DTYPES, DTYPES, (torch.float64,), DTYPES):
        assert kernel.module(CPU, dtypes, 1)
    assert checked == [DTYPES, (torch.float64,)]


@pytest.mark.usefixtures("fake_triton")
def test_a_kernel_with_other_results_is_not_used(module_name: str) -> None:
    kernel = Kernel("numbers were doubled", module_name, lambda *_: False, 0)
    assert kernel.module(CPU, DTYPES, 1) is None
    assert kernel.note == (
        "numbers were doubled by plain torch operations, which is slower and gives the same "
        "result: the Triton kernel is not used (its results on a sample differ)"
    )


@pytest.mark.usefixtures("fake_triton")
def test_a_kernel_that_cannot_be_compiled_is_not_tried_again(
    module_name: str,
) -> None:
    tries = []

    def fail(module: ModuleType, device: torch.device, dtypes: DTypes) -> bool:
        tries.append(dtypes)
        raise RuntimeError("Failed to find C compiler.\nPlease specify one.")

    kernel = Kernel("numbers were doubled", module_name, fail, 0)
    for _ in range(3):
        assert kernel.module(CPU, DTYPES, 1) is None
    assert len(tries) == 1
    assert "(RuntimeError: Failed to find C compiler.)" in str(kernel.note)


@pytest.mark.usefixtures("fake_triton")
def test_lack_of_memory_is_not_a_reason_against_the_kernel(
    module_name: str,
) -> None:
    def fail(module: ModuleType, device: torch.device, dtypes: DTypes) -> bool:
        raise torch.OutOfMemoryError("no memory")

    kernel = Kernel("numbers were doubled", module_name, fail, 0)
    with pytest.raises(torch.OutOfMemoryError):
        kernel.module(CPU, DTYPES, 1)
    assert kernel.note is None


def test_triton_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda _: None)
    kernel = Kernel("numbers were doubled", "no_module", doubles, 0)
    assert kernel.module(CPU, DTYPES, 1) is None
    assert "Triton is not installed" in str(kernel.note)


def test_a_counter_without_a_working_kernel_counts_plainly() -> None:
    """Triton is not installed here, or has no GPU for tensors on the CPU."""
    case = draw_case((5, 6), (20, 33))
    kernel = Kernel(
        "lit pixels were counted",
        "nd_plugin.accelerator.lit_pixels_triton",
        equals_plain,
        0,
    )
    counter = LitPixelCounter(kernel, 2**20)
    assert torch.equal(counter(*case.arguments), case.expected().int())
    assert str(counter.note).startswith("lit pixels were counted by plain torch")


def test_the_cpu_has_no_kernel_and_needs_no_note() -> None:
    case = draw_case((5, 6), (20, 33))
    counter = lit_pixel_counter(CPU)
    assert counter.kernel is None
    assert counter.note is None
    assert torch.equal(counter(*case.arguments), case.expected().int())


def test_counters_of_a_gpu_share_its_kernel() -> None:
    gpu = torch.device("cuda:0")
    counters = [lit_pixel_counter(gpu), lit_pixel_counter(gpu, 2**20)]
    assert counters[0].kernel is counters[1].kernel is not None
    assert counters[1].memory == 2**20
