"""The kernel that adds up intersections against loops, run by Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from intersection_cases import assert_same_sums, draw_case, special_cases

from nd_plugin.accelerator import intersections_triton
from nd_plugin.accelerator.intersections import IntersectionAdder, equals_plain
from nd_plugin.accelerator.kernels import Kernel

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", special_cases())
def test_equals_loops(name: str) -> None:
    case = special_cases()[name]
    sums = case.begun_sums()
    intersections_triton.add_intersections(*case.arguments, sums)
    assert_same_sums(sums, case.expected())


def test_no_map_adds_nothing() -> None:
    case = draw_case()
    sums = case.begun_sums()
    intersections_triton.add_intersections(
        case.lit_pixels[:0], case.images[:0], case.units[:0], case.labels, sums
    )
    assert_same_sums(sums, case.begun_sums())


def test_the_sample_passes() -> None:
    assert equals_plain(intersections_triton, CPU, (torch.int16,))


def test_the_adder_uses_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    case = draw_case()
    kernel = Kernel("added", intersections_triton.__name__, equals_plain, 0)
    adder = IntersectionAdder(kernel, 2**20)
    sums = case.begun_sums()
    adder(*case.arguments, sums)
    assert_same_sums(sums, case.expected())
    calls = []
    monkeypatch.setattr(
        intersections_triton, "add_intersections", lambda *_: calls.append("kernel")
    )
    adder(*case.arguments, sums)
    assert calls == ["kernel"]
    assert adder.note is None
