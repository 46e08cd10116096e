"""Ranks in sorted activations, in exact arithmetic: floor(τ·n) and floor((1 - τ)·n).

τ is the decimal number that was written, not the nearest binary fraction: 0.29 of 100 is 29.
"""

from fractions import Fraction
from math import floor


def rank(quantile: float, locations: int) -> int:
    """Return floor(τ·n), the rank of T_k among a unit's n values, 0 for the largest."""
    return floor(Fraction(repr(quantile)) * locations)


def complement_rank(quantile: float, locations: int) -> int:
    """Return floor((1 - τ)·n): a unit that is 0 at more of its n locations has T_k = 0."""
    return floor((1 - Fraction(repr(quantile))) * locations)
