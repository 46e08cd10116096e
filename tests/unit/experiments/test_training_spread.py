"""Several trainings: mean and standard deviation of their curves, stage by stage."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from nd_plugin import Dissection
from nd_plugin.errors import BadInput
from nd_plugin.experiments.evolution.evolution import Evolution
from nd_plugin.experiments.evolution.histories import LayerEvolution
from nd_plugin.experiments.evolution.stages import Stage
from nd_plugin.experiments.evolution.training_spread import (
    check_same_stages,
    layer_spreads,
    mean_accuracies,
)


def training(
    *stages: Dissection, accuracies: tuple[float, ...] = (0.25, 0.5)
) -> Evolution:
    steps = range(1, len(stages) + 1)
    return Evolution(
        model="net",
        concepts="set",
        stages=tuple(
            Stage(Path(f"{step}.pt"), f"{step}.pt", step) for step in steps
        ),
        unit="epoch",
        keys=({},) * len(stages),
        layers=(LayerEvolution(stages),),
        accuracies=accuracies,
    )


@pytest.fixture
def blank(dissection: Dissection) -> Dissection:
    return replace(dissection, intersection=dissection.intersection * 0)


def test_mean_and_deviation(dissection: Dissection, blank: Dissection) -> None:
    (spread,) = layer_spreads([training(blank, dissection), training(blank, blank)])
    first, last = spread.unique_detectors
    assert (first.mean, first.deviation) == (0, 0)
    # of 2 and 0 unique detectors
    assert last.mean == 1 and last.deviation == pytest.approx(math.sqrt(2))
    assert last.text() == "1 ± 1.4"
    assert [item.mean for item in spread.by_category["part"]] == [0, 0.5]
    assert spread.share_kept is None, "no detectors of both"
    assert spread.to_dict()["unique_detectors"][1]["sd"] == last.deviation


def test_share_kept(dissection: Dissection) -> None:
    objects = replace(
        dissection, intersection=dissection.intersection[:, [1, 0, 2, 3]]
    )
    pair = [training(dissection, dissection), training(dissection, objects)]
    (spread,) = layer_spreads(pair)
    # all three, and the one detector of the tail
    assert spread.share_kept is not None
    assert spread.share_kept.mean == pytest.approx((1 + 1 / 3) / 2)


def test_accuracies_are_averaged(dissection: Dissection) -> None:
    first = training(dissection, dissection)
    second = training(dissection, dissection, accuracies=(0.75, math.nan))
    means = mean_accuracies([first, second])
    assert means[0] == 0.5 and math.isnan(means[1]), "one training lacks it"


def test_other_stages_or_layers_are_refused(dissection: Dissection) -> None:
    pair = training(dissection, dissection)
    with pytest.raises(BadInput, match=r"other steps \(1, 2 and 1\)"):
        check_same_stages([pair, training(dissection, accuracies=(1.0,))])
    other = replace(dissection, layer="conv9")
    with pytest.raises(BadInput, match=r"other layers \(block.1/relu and conv9\)"):
        check_same_stages([pair, training(other, other)])
