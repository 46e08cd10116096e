"""Precision of a module: the number types of its parameters."""

from __future__ import annotations

from torch import nn

from nd_plugin import open_model


def precision(module: nn.Module) -> str:
    return str(open_model(module.eval()).precision)  # type: ignore[attr-defined]


def test_is_that_of_the_parameters() -> None:
    assert precision(nn.Sequential(nn.Conv2d(3, 4, 3))) == "float32"
    assert precision(nn.Sequential(nn.Conv2d(3, 4, 3)).half()) == "float16"
    assert precision(nn.Sequential(nn.ReLU())) == ""


def test_the_type_of_most_numbers_comes_first() -> None:
    mixed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 40, 3).bfloat16())
    assert precision(mixed) == "bfloat16 and float32"
