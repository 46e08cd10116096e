"""Streams of random numbers of a run, by its seed: the same on every machine."""

from __future__ import annotations

import numpy as np

# what a stream is for
FOLDS = 0
PERMUTATIONS = 1


def random_state(seed: int, purpose: int, number: int = 0) -> np.random.RandomState:
    """Return the random numbers of one purpose, and of one permutation.

    NumPy promises that those of a RandomState never change, from version to version.
    """
    sequence = np.random.SeedSequence((seed, purpose, number))
    return np.random.RandomState(np.random.MT19937(sequence))
