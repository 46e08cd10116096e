"""Shares of contributions: of the sum of the absolute contributions of all units of the layer."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from nd_plugin import Dissection, Explanations, LayerDissection, Preprocess

PLAIN = Preprocess(size=(4, 4), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
WEIGHTS = [3.0, 1.0, 0.0, -1.0, -5.0]
DEFINITION = (
    "Share: contribution divided by 10, the sum of the absolute contributions of all "
    "units of the layer."
)


class Weighted(nn.Module):
    """Five units that are 1 everywhere, and one logit that they are weighted in."""

    def __init__(self, weights: list[float], bias: float) -> None:
        super().__init__()
        self.units = nn.Conv2d(3, 5, 1)
        nn.init.zeros_(self.units.weight)
        nn.init.ones_(self.units.bias)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(5, 1)
        self.head.weight.data[:] = torch.tensor([weights])
        self.head.bias.data[:] = bias

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool(self.units(images)).flatten(1))


def explained(
    dissection: Dissection, weights: list[float], bias: float, **options: object
) -> Explanations:
    units = LayerDissection(Weighted(weights, bias), "units")
    units.dissection = replace(dissection, layer="units")
    image = torch.rand(1, 3, 4, 4)
    return units.explain(image, preprocess=PLAIN, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("bias", [-100.0, 0.0, 2.0, 100.0])
@pytest.mark.parametrize("contribution", ["linear", "gradient", "ablation"])
def test_it_does_not_depend_on_the_output(
    dissection: Dissection, bias: float, contribution: str
) -> None:
    (explanation,) = explained(dissection, WEIGHTS, bias, contribution=contribution)
    # float32 outputs around 100 are rounded at 1e-5
    assert explanation.output == pytest.approx(bias - 2)
    assert explanation.absolute_sum == pytest.approx(10, rel=1e-4)
    shares = [unit.share for unit in explanation.units]
    assert shares == pytest.approx([0.3, 0.1, 0.0, -0.1, -0.5], abs=1e-4)


def test_it_counts_units_that_are_not_named(dissection: Dissection) -> None:
    (explanation,) = explained(dissection, WEIGHTS, 0.0, top_k=2)
    shares = [unit.share for unit in explanation.units]
    assert shares == pytest.approx([0.3, 0.1], abs=1e-6)


def test_it_is_zero_where_nothing_contributes(dissection: Dissection) -> None:
    (explanation,) = explained(dissection, [0.0] * 5, 1.0)
    assert explanation.absolute_sum == 0
    assert [unit.share for unit in explanation.units] == [0.0] * 5


def test_it_is_defined_where_it_is_shown(dissection: Dissection) -> None:
    explanations = explained(dissection, WEIGHTS, -3.0)
    console = Console(file=io.StringIO(), width=120)
    console.print(explanations)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert DEFINITION in " ".join(text.split())
    assert "-50.0%" in text
    page = explanations.to_html()
    assert DEFINITION in page and "share -50.0%" in page
    assert DEFINITION in explanations._repr_html_()
    (record,) = json.loads(explanations.to_json())["explanations"]
    assert record["absolute_sum"] == pytest.approx(10)
    assert record["units"][0]["share"] == pytest.approx(0.3)
    first_unit_panel = explanations.plot().axes[1]
    assert first_unit_panel.get_title().endswith("30.0% of Σ|contribution|")
