"""`add_intersections` in plain torch against loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from intersection_cases import assert_same_sums, draw_case, special_cases
from torch import Tensor

from nd_plugin.accelerator import intersections
from nd_plugin.accelerator.intersections import (
    LABEL_BYTES,
    IntersectionAdder,
    add_intersections,
    intersection_adder,
)


@pytest.mark.parametrize("name", special_cases())
def test_equals_loops(name: str) -> None:
    case = special_cases()[name]
    sums = case.begun_sums()
    add_intersections(*case.arguments, sums)
    assert_same_sums(sums, case.expected())


def test_pieces_fit_into_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    case = draw_case(maps=20)
    pieces = []
    add = intersections._add

    def record(lit_pixels: Tensor, *arguments: Any) -> None:
        pieces.append(len(lit_pixels))
        add(lit_pixels, *arguments)

    monkeypatch.setattr(intersections, "_add", record)
    sums = case.begun_sums()
    add_intersections(*case.arguments, sums, memory=8 * 9 * 3 * LABEL_BYTES)
    assert pieces == [8, 8, 4]
    assert_same_sums(sums, case.expected())


def test_the_cpu_has_no_kernel() -> None:
    adder = intersection_adder(torch.device("cpu"), 2**20)
    case = draw_case()
    sums = case.begun_sums()
    adder(*case.arguments, sums)
    assert adder == IntersectionAdder(None, 2**20)
    assert adder.note is None
    assert_same_sums(sums, case.expected())


def test_adders_of_a_gpu_share_its_kernel() -> None:
    gpu = torch.device("cuda:0")
    assert intersection_adder(gpu).kernel is intersection_adder(gpu).kernel
    assert intersection_adder(gpu).kernel
