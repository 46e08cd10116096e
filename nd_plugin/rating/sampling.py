"""Choice of the units to rate, and shares of all units estimated from those rated.

The guess of a unit is the probability that raters will accept its label, as far as the IoU tells.
A unit is chosen with a probability proportional to √(guess·(1 - guess)), the standard deviation
of its answer: units whose answer is nearly known beforehand teach little. An estimate adds the
guesses of all units and the weighted surprises of the rated ones, so that a wrong guess costs
precision and causes no bias. The idea is the model-guided importance sampling of Oikarinen et al.
(CVPR 2026, arXiv 2506.07985), who choose images for one unit; here units are chosen, each with its
top images, as the paper's raters saw them.

A rated unit counts with the reciprocal of its probability to be rated. The variance of an estimate
has two parts: that of the choice of units (zero where all were rated), and the binomial one of a
layer that has so many units. The interval is Wilson's (1927), 95 %, for as many ratings as give
this variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

NORMAL_95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
# Guesses stay off 0 and 1: no label is certain, and every unit may be chosen.
SMALLEST_GUESS = 0.05
LARGEST_GUESS = 0.95


def label_guesses(iou: Floats, min_iou: float) -> Floats:
    """Guess for each unit whether raters accept its label: 1/2 at the detectors' limit."""
    scale = max(min_iou, np.finfo(np.float64).tiny)
    return np.clip(iou / (iou + scale), SMALLEST_GUESS, LARGEST_GUESS)


def importance(guesses: Floats, strata: Indices) -> Floats:
    """Return the importance of each unit, up to a factor.

    Divided by the root of the size of its stratum (a layer's category), so that small categories
    are chosen more densely than large ones, and large ones still more often (power allocation).
    """
    deviation = np.sqrt(guesses * (1 - guesses))
    sizes = np.bincount(strata)[strata]
    return np.asarray(deviation / np.sqrt(sizes), np.float64)


def inclusion_probabilities(sizes: Floats, count: int) -> Floats:
    """Return the probability of each unit to be among ``count``, proportional to its size.

    Sizes are positive. Units that would exceed 1 are certain; the rest is shared by the others.
    """
    probabilities = np.ones(len(sizes))
    certain = np.zeros(len(sizes), np.bool_)
    while count < len(sizes):
        remaining = count - int(certain.sum())
        factor = remaining / sizes[~certain].sum()
        probabilities[~certain] = sizes[~certain] * factor
        excessive = ~certain & (probabilities >= 1)
        if not excessive.any():
            break
        certain |= excessive
        probabilities[certain] = 1
    return probabilities


def draw(probabilities: Floats, generator: np.random.Generator) -> Indices:
    """Draw units with these inclusion probabilities, ascending; their sum is the number drawn.

    Systematic sampling in random order (Madow 1949): each unit has a stretch of the length of its
    probability, and points at distance 1 choose the stretches that they fall into.
    """
    order = generator.permutation(len(probabilities))
    ends = np.cumsum(probabilities[order])
    count = round(float(ends[-1])) if len(ends) else 0
    # Rounding may leave the last end a little below the sum.
    points = (np.arange(count) + generator.random()) * (ends[-1:] / max(count, 1))
    chosen = order[np.searchsorted(ends, points, side="right")]
    return np.sort(chosen)


@dataclass(frozen=True)
class Share:
    """Share with its 95 % interval."""

    value: float
    low: float
    high: float
    units: int  # rated units that it rests on
    accepted: int  # of these, the ones that count for it
    is_complete: bool  # no unit was left out: ``value`` is accepted / units


def difference_estimate(
    answers: Floats, guesses: Floats, probabilities: Floats, guess_sum: float
) -> tuple[float, float]:
    """Estimate the sum of answers over all units, and the variance by the choice of units.

    The sum of all guesses, and the rated units' weighted differences from them: unbiased for any
    guesses (Särndal, Swensson and Wretman 1992, ch. 6).
    """
    differences = answers - guesses
    total = guess_sum + float((differences / probabilities).sum())
    return total, design_variance(differences, probabilities)


def ratio_estimate(
    answers: Floats, members: Floats, probabilities: Floats
) -> tuple[float, float]:
    """Estimate the share of answers among members, and its variance by the choice of units.

    Both are 0 or 1 for each rated unit; at least one is a member.
    """
    size = float((members / probabilities).sum())
    share = float((answers * members / probabilities).sum()) / size
    residuals = members * (answers - share) / size
    return share, design_variance(residuals, probabilities)


def design_variance(residuals: Floats, probabilities: Floats) -> float:
    """Estimate the variance of a weighted sum over chosen units (Hájek 1964; Deville 1993)."""
    count = len(residuals)
    factors = 1 - probabilities
    if count < 2 or not factors.any():
        return 0.0
    weighted = residuals / probabilities
    centre = float((factors * weighted).sum() / factors.sum())
    squares = factors * (weighted - centre) ** 2
    return float(squares.sum()) * count / (count - 1)


def share_of(
    value: float,
    variance: float,
    population: float,
    answers: Floats,
    weights: Floats,
) -> Share:
    """Return a share with its interval.

    ``population`` is the number of units that the share is of, ``answers`` the 0 or 1 of those
    rated, ``weights`` the reciprocals of their probabilities.
    """
    count = len(answers)
    is_complete = bool(np.allclose(weights, 1))
    # Free of rounding where nothing is estimated.
    exact = float(answers.mean()) if is_complete else value
    clipped = min(max(exact, 0.0), 1.0)
    # One answer of each kind added: no share is certain after few ratings.
    shrunk = (clipped * count + 1) / (count + 2)
    spread = shrunk * (1 - shrunk)
    ratings = spread / (variance + spread / max(population, 1))
    if variance == 0:
        ratings = min(ratings, float(count))
    low, high = wilson_interval(clipped, ratings)
    return Share(clipped, low, high, count, int(answers.sum()), is_complete)


def wilson_interval(share: float, ratings: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share measured with so many ratings."""
    square = NORMAL_95**2
    centre = (share + square / (2 * ratings)) / (1 + square / ratings)
    spread = share * (1 - share) / ratings + square / (4 * ratings**2)
    half = NORMAL_95 * float(np.sqrt(spread)) / (1 + square / ratings)
    return max(centre - half, 0.0), min(centre + half, 1.0)
