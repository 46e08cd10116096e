"""Thresholds T_k of one layer, selected among the candidates of all parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.lower_bound import CombinedBounds
from nd_plugin.method.quantile import UnitValues, select
from nd_plugin.method.ranks import rank

CPU = torch.device("cpu")

# of the memory budget; a selection takes 8, and 16 for a moment
BYTES_PER_VALUE = 2**7


@dataclass(frozen=True)
class UnitThresholds:
    """Thresholds T_k of one layer at one quantile."""

    quantile: float
    values: Tensor  # (unit,)
    is_known: Tensor  # (unit,) bool; otherwise T_k is not among the stored values


def thresholds(
    parts: Sequence[Candidates],
    bounds: CombinedBounds,
    statistics: UnitStatistics,
    quantiles: Sequence[float],
    group: SingleProcess,
    memory: int,
    device: torch.device = CPU,
) -> list[UnitThresholds]:
    """Select T_k at each quantile from the candidates of all parts in all processes.

    ``parts`` are the candidates of this process. In every process they hold all values above the
    ``bounds``; ``statistics`` are those of the whole probe data set. ``memory`` is in bytes,
    of ``device``, where they are selected.

    T_k is known where it is among the stored values; where it is the level of the bounds (it is
    not higher, and by `CombinedBounds.proven_level` not lower); and where the unit is constant.
    """
    level = bounds.level.to(device)
    highest = statistics.highest.to(device)

    def read_values() -> Iterator[UnitValues]:
        for candidates in parts:
            yield from candidates.values_above(level)

    at_quantiles = []
    for quantile in quantiles:
        threshold_rank = rank(quantile, statistics.locations)
        # a second thread is no faster, and waits where the cores are shared
        with one_thread():
            values, stored = select(
                read_values,
                level,
                highest,
                threshold_rank,
                group.total,
                memory // BYTES_PER_VALUE,
            )
        constant = ~statistics.varied
        values = torch.where(constant, statistics.highest + 0.0, values.cpu())
        is_level = bounds.proven_level(threshold_rank) >= bounds.level
        known = stored.cpu() | is_level | constant
        at_quantiles.append(UnitThresholds(quantile, values, known))
    return at_quantiles


def known_level(at_quantiles: Sequence[UnitThresholds]) -> Tensor:
    """Return each unit's lowest T_k where all are known, otherwise -inf; (unit,)."""
    known = torch.stack([at_quantile.is_known for at_quantile in at_quantiles])
    values = torch.stack([at_quantile.values for at_quantile in at_quantiles])
    all_known = known.all(0)
    lowest = values.amin(0)
    return torch.where(all_known, lowest, torch.full_like(lowest, -torch.inf))


def complete_thresholds(
    first_pass: Sequence[UnitThresholds], second_pass: Sequence[UnitThresholds]
) -> list[UnitThresholds]:
    """Return the thresholds of the first pass, and those of the second where these are unknown."""
    at_quantiles = []
    for first, second in zip(first_pass, second_pass, strict=True):
        values = torch.where(first.is_known, first.values, second.values)
        known = first.is_known | second.is_known
        at_quantiles.append(UnitThresholds(first.quantile, values, known))
    return at_quantiles
