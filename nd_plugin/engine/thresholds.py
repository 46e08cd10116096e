"""Thresholds T_k of one layer, from the candidates of all parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.lower_bound import CombinedBounds
from nd_plugin.method.quantile import Flat, select
from nd_plugin.method.ranks import rank

PART = 2**7  # bytes of memory to one value that a selection holds; it takes 8, and 16 for a moment


@dataclass(frozen=True)
class UnitThresholds:
    """T_k of one layer at one quantile."""

    quantile: float
    values: Tensor  # (unit,)
    known: Tensor  # (unit,) bool; else T_k is none of the values that were kept


def thresholds(
    parts: Sequence[Candidates],
    bounds: CombinedBounds,
    whole: UnitStatistics,
    quantiles: Sequence[float],
    group: SingleProcess,
    memory: int,
) -> list[UnitThresholds]:
    """T_k at each quantile, from the candidates of this process's parts and those of the other processes.

    ``bounds`` are those that all candidates are above, in all processes; ``whole`` is the observation of everything.
    T_k is known where it is among the values that were kept, where it is the level that they are above (it is not more,
    and by `CombinedBounds.proven_level` not less), and where a unit is constant.
    """
    found = []
    for quantile in quantiles:
        place = rank(quantile, whole.locations)

        def flat() -> Iterator[Flat]:
            return (values for part in parts for values in part.flat(bounds.level))

        with (
            one_thread()
        ):  # a second one would not make it faster, and wait where it has to share a processor
            values, kept = select(
                flat, bounds.level, whole.highest, place, group.total, memory // PART
            )
        values = torch.where(whole.varied, values, whole.highest + 0.0)
        found.append(
            UnitThresholds(
                quantile,
                values,
                kept | (bounds.proven_level(place) >= bounds.level) | ~whole.varied,
            )
        )
    return found


def sure_level(known: Sequence[UnitThresholds]) -> Tensor:
    """A bound that cannot be wrong: T_k where it is known, nothing where it is not; (unit,)."""
    every = torch.stack([at.known for at in known]).all(0)
    lowest = torch.stack([at.values for at in known]).amin(0)
    return torch.where(every, lowest, torch.full_like(lowest, -torch.inf))


def completed(
    known: Sequence[UnitThresholds], found: Sequence[UnitThresholds]
) -> list[UnitThresholds]:
    """``known``, with what ``found`` adds."""
    return [
        UnitThresholds(
            one.quantile, torch.where(one.known, one.values, other.values), one.known | other.known
        )
        for one, other in zip(known, found, strict=True)
    ]
