"""Ranks in sorted activations, in exact arithmetic: floor(τ·n) and floor((1 - τ)·n)."""

from fractions import Fraction
from math import floor


def rank(quantile: float, locations: int) -> int:
    """floor(τ·n), exactly: τ is taken as the decimal number that was written, not as the nearest binary one."""
    return floor(Fraction(repr(quantile)) * locations)


def complement_rank(quantile: float, locations: int) -> int:
    """floor((1 - τ)·n): a unit that is 0 on more than so many of its n locations has T_k = 0."""
    return floor((1 - Fraction(repr(quantile))) * locations)
