"""Alignment of two sequences of layers, given how well each of the one fits each of the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

CERTAIN_SCORE = 0.9  # of layers that are the same one, whatever their order

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Cell = tuple[int, int]  # row, column: index in the first model, in the second


def best_pairs(scores: Floats, names_equal: Booleans) -> list[Cell]:
    """Return the pairs of row and column that are one layer, by row.

    First those that are certain by their values: in the order of both models, then, as branches
    have no order among each other, in any. Then those that fit in between. Last are layers of
    one name whose order differs.
    """
    certain_scores = np.where(scores >= CERTAIN_SCORE, scores, 0)
    in_order = align(certain_scores)
    pairs = in_order + _align_repeatedly(certain_scores, in_order)
    pairs += align(_without(_between(scores, in_order), pairs))
    pairs += _align_repeatedly(np.where(names_equal, scores, 0), pairs)
    return sorted(pairs)


def _align_repeatedly(scores: Floats, taken: Sequence[Cell]) -> list[Cell]:
    """Return the pairs that further alignments find, each among what is left by those before."""
    pairs: list[Cell] = []
    new_pairs = align(_without(scores, taken))
    while new_pairs:
        pairs += new_pairs
        new_pairs = align(_without(scores, [*taken, *pairs]))
    return pairs


def _without(scores: Floats, pairs: Sequence[Cell]) -> Floats:
    """Return scores that are 0 in the rows and columns of pairs."""
    rest = scores.copy()
    for row, column in pairs:
        rest[row, :] = 0
        rest[:, column] = 0
    return rest


def _between(scores: Floats, pairs: Sequence[Cell]) -> Floats:
    """Return scores that are 0 where a pair would cross one of ``pairs``."""
    between = scores.copy()
    for row, column in pairs:
        between[:row, column + 1 :] = 0
        between[row + 1 :, :column] = 0
    return between


def align(scores: Floats) -> list[Cell]:
    """Return the pairs of row and column that keep the order of both and score most in sum.

    The longest common subsequence, with scores: Needleman and Wunsch 1970, without gap penalties.
    """
    rows, columns = scores.shape
    best = np.zeros((rows + 1, columns + 1))
    for row in range(rows):
        paired = best[row, :-1] + scores[row]
        best[row + 1, 1:] = np.maximum.accumulate(np.maximum(best[row, 1:], paired))
    pairs: list[Cell] = []
    row, column = rows, columns
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row -= 1
            column -= 1
            pairs.append((row, column))
    return pairs
