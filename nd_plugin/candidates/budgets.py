"""Budgets of candidates: what is pruned, moved to memory or to a file when they take too much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter

from torch import Tensor

from nd_plugin.candidates.layer_candidates import Candidates

PENDING_SHARE = 0.25  # of the memory, for maps that wait to be sifted

# prune if this many times the batches of the last pruning are stored
PRUNE_GROWTH = 1.5

# of a budget: moving frees more than it must, to be rarer
SPILL_TARGET = 0.75


def pending_budget(memory: int) -> int:
    """Return the bytes for maps that wait to be sifted; candidates have the other bytes."""
    return int(PENDING_SHARE * memory)


def keep_within_device(bound_of: Mapping[Candidates, Tensor], budget: int) -> None:
    """Move candidates from the device to memory where they take more than ``budget`` bytes of it.

    ``bound_of``: their bounds (unit,). As in `keep_within_memory`, maps are pruned first, and the
    layer that takes most gives its oldest batches.
    """
    _keep_within(budget, bound_of, attrgetter("device_nbytes"), Candidates.offload)


def keep_within_memory(bound_of: Mapping[Candidates, Tensor], memory: int) -> None:
    """Reduce candidates to ``memory`` bytes if they take more; ``bound_of``: their bounds (unit,).

    First, maps that the bounds have ruled out by now are pruned. If this is not enough, maps of
    the layer that takes most memory are moved to disk, its oldest batches first, down to
    `SPILL_TARGET`. Raises NotSaved where the disk is full.
    """

    def spill(candidates: Candidates, amount: int) -> None:
        candidates.spill(bound_of[candidates], amount)

    _keep_within(memory, bound_of, attrgetter("nbytes"), spill)


def _keep_within(
    budget: int,
    bound_of: Mapping[Candidates, Tensor],
    bytes_of: Callable[[Candidates], int],
    move: Callable[[Candidates, int], None],
) -> None:
    """Prune candidates, then ``move`` bytes of the largest, until ``bytes_of`` all fit."""
    if sum(map(bytes_of, bound_of)) <= budget:
        return
    _prune_grown(bound_of)
    if sum(map(bytes_of, bound_of)) <= budget:
        return
    target = SPILL_TARGET * budget
    while (total := sum(map(bytes_of, bound_of))) > target:
        move(max(bound_of, key=bytes_of), int(total - target) + 1)


def _prune_grown(bound_of: Mapping[Candidates, Tensor]) -> None:
    """Prune candidates that have grown by `PRUNE_GROWTH` since the last time."""
    for candidates, bound in bound_of.items():
        batches = len(candidates.by_batch)
        if batches > PRUNE_GROWTH * candidates.batches_at_last_prune:
            candidates.prune(bound)
