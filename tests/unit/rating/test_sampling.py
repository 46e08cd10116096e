"""Choice of units, and what can be concluded from those chosen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from nd_plugin.rating.sampling import (
    difference_estimate,
    draw,
    importance,
    inclusion_probabilities,
    label_guesses,
    ratio_estimate,
    share_of,
    wilson_interval,
)

Floats = npt.NDArray[np.float64]
MIN_IOU = 0.04
UNITS = 1280
CHOSEN = 100
REPETITIONS = 2000
RARE = 3  # category of about 5 % of the units


class Layer(NamedTuple):
    """Layer whose raters' answers are known."""

    answers: Floats  # 0 or 1 of each unit
    guesses: Floats
    categories: npt.NDArray[np.int64]
    probabilities: Floats


def make_layer(slope: float, seed: int = 0) -> Layer:
    """Make a layer whose labels are accepted more often with a higher IoU, if ``slope`` > 0.

    The guesses assume a slope of 1: others are wrong guesses.
    """
    random = np.random.default_rng(seed)
    log_iou = random.normal(np.log(MIN_IOU), 1, UNITS)
    iou = np.exp(log_iou).clip(0, 0.9)
    accepted = 1 / (1 + np.exp(-slope * (log_iou - np.log(MIN_IOU))))
    answers = (random.random(UNITS) < accepted).astype(np.float64)
    categories = random.choice(4, UNITS, p=[0.6, 0.25, 0.1, 0.05])
    guesses = label_guesses(iou, MIN_IOU)
    sizes = importance(guesses, categories)
    return Layer(
        answers, guesses, categories, inclusion_probabilities(sizes, CHOSEN)
    )


def estimates_of(layer: Layer, members: npt.NDArray[np.bool_]) -> list[float]:
    """Estimate the accepted share of some units again and again, by importance."""
    random = np.random.default_rng(1)
    shares = []
    for _ in range(REPETITIONS):
        chosen = draw(layer.probabilities, random)
        chosen = chosen[members[chosen]]
        total, _ = difference_estimate(
            layer.answers[chosen],
            layer.guesses[chosen],
            layer.probabilities[chosen],
            float(layer.guesses[members].sum()),
        )
        shares.append(total / members.sum())
    return shares


def uniform_estimates(layer: Layer, members: npt.NDArray[np.bool_]) -> list[float]:
    """The same with units that are all chosen alike, and without guesses."""
    random = np.random.default_rng(2)
    shares = []
    for _ in range(REPETITIONS):
        chosen = random.choice(UNITS, CHOSEN, replace=False)
        total = (layer.answers * members)[chosen].sum() * UNITS / CHOSEN
        shares.append(float(total / members.sum()))
    return shares


@pytest.mark.parametrize("slope", [0.0, 1.0, 6.0])
@pytest.mark.parametrize("is_rare", [False, True])
def test_estimates_are_unbiased_whether_guesses_are_right_or_wrong(
    slope: float, is_rare: bool
) -> None:
    layer = make_layer(slope)
    members = layer.categories == RARE if is_rare else np.ones(UNITS, np.bool_)
    shares = estimates_of(layer, members)
    truth = layer.answers[members].mean()
    # of the mean of many estimates; 4 of its standard errors happen by chance once in 16,000
    standard_error = np.std(shares) / np.sqrt(REPETITIONS)
    assert abs(np.mean(shares) - truth) < 4 * standard_error


def test_where_guesses_are_good_fewer_ratings_tell_as_much() -> None:
    layer = make_layer(slope=6.0)
    everything = np.ones(UNITS, np.bool_)
    rare = layer.categories == RARE
    # The variance of a mean falls with the number of ratings: their ratio is one of numbers of
    # ratings. Measured: 1.7 for the layer, 12 for a category of 5 % of its units.
    gain = np.var(uniform_estimates(layer, everything)) / np.var(
        estimates_of(layer, everything)
    )
    rare_gain = np.var(uniform_estimates(layer, rare)) / np.var(
        estimates_of(layer, rare)
    )
    assert gain > 1.4
    assert rare_gain > 4


@pytest.mark.parametrize("slope", [0.0, 1.0, 6.0])
def test_intervals_hold_the_truth_in_about_95_percent(slope: float) -> None:
    layer = make_layer(slope)
    random = np.random.default_rng(3)
    truth = layer.answers.mean()
    guess_sum = float(layer.guesses.sum())
    covered = 0
    for _ in range(REPETITIONS):
        chosen = draw(layer.probabilities, random)
        answers = layer.answers[chosen]
        probabilities = layer.probabilities[chosen]
        total, variance = difference_estimate(
            answers, layer.guesses[chosen], probabilities, guess_sum
        )
        share = share_of(
            total / UNITS, variance / UNITS**2, UNITS, answers, 1 / probabilities
        )
        covered += share.low <= truth <= share.high
    # Intervals hold more than the layer's own share: also that of another layer of its kind.
    assert 0.93 < covered / REPETITIONS < 0.99


def test_units_are_drawn_as_often_as_their_probability_says() -> None:
    probabilities = inclusion_probabilities(np.array([1.0, 2, 3, 4, 50]), 3)
    assert probabilities[4] == 1 and probabilities.sum() == pytest.approx(3)
    assert probabilities[:4] == pytest.approx(np.array([1, 2, 3, 4]) * 0.2)
    random = np.random.default_rng(0)
    counts = np.zeros(5)
    for _ in range(REPETITIONS):
        chosen = draw(probabilities, random)
        assert len(chosen) == 3 == len(set(chosen.tolist()))
        counts[chosen] += 1
    # 5 standard deviations of the share of a unit, at most 1/2 in √2000
    assert np.abs(counts / REPETITIONS - probabilities).max() < 0.056


@pytest.mark.parametrize("count", [4, 5, 99])
def test_all_are_chosen_where_that_many_are_asked_for(count: int) -> None:
    sizes = np.array([0.1, 0.2, 3.0, 5.0])
    probabilities = inclusion_probabilities(sizes, count)
    assert probabilities.tolist() == [1, 1, 1, 1]
    assert draw(probabilities, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


def test_without_units_nothing_is_drawn() -> None:
    empty = np.zeros(0)
    assert draw(empty, np.random.default_rng(0)).tolist() == []


def test_a_guess_is_one_half_at_the_limit_of_detectors() -> None:
    guesses = label_guesses(np.array([0.0, 0.04, 0.12, 1.0]), 0.04)
    assert guesses.tolist() == pytest.approx([0.05, 0.5, 0.75, 0.95])
    # without a limit every overlap is a detector
    assert label_guesses(np.array([0.0, 0.1]), 0.0).tolist() == [0.05, 0.95]


def test_wilson_interval_of_the_literature() -> None:
    # Brown, Cai, DasGupta 2001: the formula by hand for 8 of 10, z = 1.96
    low, high = wilson_interval(0.8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0.0, 5)[0] == 0
    assert wilson_interval(1.0, 5)[1] == 1


def test_all_units_rated_leaves_wilson_s_interval() -> None:
    answers = np.array([1.0] * 8 + [0.0] * 2)
    share = share_of(0.8, 0.0, 10, answers, np.ones(10))
    assert (share.low, share.high) == pytest.approx(wilson_interval(0.8, 10))
    assert (share.accepted, share.units, share.is_complete) == (8, 10, True)


def test_one_rating_says_little() -> None:
    total, variance = difference_estimate(
        np.array([1.0]), np.array([0.5]), np.array([0.01]), 50.0
    )
    share = share_of(
        total / 100, variance / 1e4, 100, np.ones(1), np.array([100.0])
    )
    assert share.value == 1 and not share.is_complete
    assert share.low < 0.25


def test_a_ratio_weights_units_by_their_probability() -> None:
    answers = np.array([1.0, 0.0, 1.0])
    members = np.array([1.0, 1.0, 0.0])
    share, variance = ratio_estimate(answers, members, np.array([0.25, 0.5, 0.1]))
    assert share == pytest.approx(4 / 6)
    assert variance > 0
    _, none = ratio_estimate(answers, members, np.ones(3))
    assert none == 0
