"""Choice of the units to rate: more often where the answer is uncertain, and unbiased all the same.

The guess of a unit is the probability that raters will accept its label, as far as the IoU tells.
A unit is chosen with a probability proportional to √(guess·(1 - guess)), the standard deviation
of its answer: units whose answer is nearly known beforehand teach little. `estimates` adds guesses
of all units and weighted surprises of the rated ones, so that a wrong guess costs precision and
causes no bias. The idea is the model-guided importance sampling of Oikarinen et al. (CVPR 2026,
arXiv 2506.07985), who choose images for one unit; here units are chosen, each with its top images,
as the paper's raters saw them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

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
