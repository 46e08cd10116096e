"""Units that know nothing of the images, dissected: p-values, false-discovery rate, intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import HOW, IMAGES, Numbered, Planted, drawn

from nd_plugin import Dissection, Settings, open_concepts
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed

UNITS, PERMUTATIONS = 200, 19
SETTINGS = Settings(
    quantile=0.2, folds=8, permutations=PERMUTATIONS, pictures=0, mask_size="native"
)


@pytest.fixture(scope="module")
def noise() -> Dissection:
    """Maps of noise, each image's own, against the annotations of the shapes."""
    concepts = Numbered(open_concepts(f"shapes?images={IMAGES}&size=40&seed=3"))
    feed = Feed.of(
        concepts, HOW, SETTINGS, torch.device("cpu"), batch_size=8, workers=0
    )
    (dissection,) = run(Planted({"noise": drawn(5, UNITS)}), ["noise"], feed)
    return dissection


def test_p_values_are_uniform(noise: Dissection) -> None:
    """Each of 20 ranks is as likely; chi-square of 19 degrees is above 50 once in 8,000 seeds."""
    ranks = np.rint(noise.p_values * (PERMUTATIONS + 1)).astype(int)
    counts = np.bincount(ranks, minlength=PERMUTATIONS + 2)[1:]
    assert counts.sum() == UNITS
    expected = UNITS / (PERMUTATIONS + 1)
    assert ((counts - expected) ** 2 / expected).sum() < 50


def test_chance_explains_the_detectors(noise: Dissection) -> None:
    """At a limit that half of the permuted units exceed, half of the units do.

    Their number has a standard deviation of 7. No unit stands out among all: Benjamini and
    Hochberg promise that in 95 % of all seeds.
    """
    assert noise.chance is not None
    limit = float(np.median(noise.chance.iou))
    settings = replace(noise.settings, min_iou=limit)
    at_limit = replace(noise, settings=settings)
    assert at_limit.chance_level.detectors.mean == pytest.approx(UNITS / 2, abs=1)
    assert abs(at_limit.summary().detectors - UNITS / 2) < 35
    assert at_limit.false_discovery_rate > 0.8
    assert (noise.q_values < 0.05).sum() == 0


def test_names_of_noise_are_unstable(noise: Dissection) -> None:
    """A name that a resample changes more often than not says nothing."""
    assert noise.stability.mean() < 0.5
    counts = noise.intervals().counts
    assert (
        counts.detectors.low <= noise.summary().detectors <= counts.detectors.high
    )
