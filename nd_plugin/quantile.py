"""The exact threshold T_k: the largest values of each unit, kept while the probe data set streams by.

T_k = v[floor(τ·n)], v being all n values of unit k sorted descending (paper: P(a_k > T_k) = τ, section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

import torch
from torch import Tensor


def rank(quantile: float, locations: int) -> int:
    """floor(τ·n), exactly: τ is taken as the decimal number that was written, not as the nearest binary one."""
    return floor(Fraction(repr(quantile)) * locations)


@dataclass(frozen=True)
class Largest:
    """The ``keep`` largest of the ``locations`` values seen of each unit; two of these add up.

    New values wait in ``parts`` until they are as many as are kept, so that sorting costs little per value.
    """

    keep: int
    parts: tuple[Tensor, ...]  # (unit, any number) each; together they hold the ``keep`` largest
    locations: int
    bound: Tensor  # (unit,) never more than T_k will be, however many values follow

    @classmethod
    def of(cls, keep: int, values: Tensor) -> Largest:
        """Of ``values`` (unit, location)."""
        kept = _largest(keep, values)
        return cls(keep, (kept,), values.shape[1], _bound(keep, kept))

    def __add__(self, other: Largest) -> Largest:
        parts = self.parts + other.parts
        bound = torch.maximum(self.bound, other.bound)
        waiting = sum(part.shape[1] for part in parts)
        if waiting > 2 * self.keep or (waiting >= self.keep and bool(bound.isneginf().any())):
            parts = (_largest(self.keep, torch.cat(parts, dim=1)),)
            bound = _bound(self.keep, parts[0])
        return Largest(self.keep, parts, self.locations + other.locations, bound)

    def threshold(self, quantile: float) -> Tensor:
        """T_k of each unit, (unit,)."""
        place = rank(quantile, self.locations)
        return torch.cat(self.parts, dim=1).topk(place + 1, dim=1).values[:, place].clone()


def _largest(keep: int, values: Tensor) -> Tensor:
    return values.topk(keep, dim=1).values if values.shape[1] >= keep else values.clone()


def _bound(keep: int, largest: Tensor) -> Tensor:
    """The keep-th largest value of each unit, -inf before there are so many."""
    if largest.shape[1] < keep:
        return largest.new_full((largest.shape[0],), -torch.inf)
    return largest[:, keep - 1].clone()
