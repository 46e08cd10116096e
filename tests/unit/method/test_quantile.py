"""Radix select against plain sorting."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence

import pytest
import torch
from random_data import DTYPES, KINDS, draw_values
from torch import Tensor

from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method import quantile
from nd_plugin.method.quantile import UnitValues, from_keys, select, to_keys


def split(values: Tensor, bound: Tensor, ends: Sequence[int]) -> list[UnitValues]:
    """Units and values above ``bound``, shuffled, in pieces."""
    units = torch.arange(len(values)).repeat_interleave(values.shape[1])
    order = torch.randperm(
        values.numel(), generator=torch.Generator().manual_seed(1)
    )
    shuffled_units = units[order]
    shuffled_values = values.flatten()[order]
    is_above = shuffled_values > bound[shuffled_units]
    unit_pieces = torch.tensor_split(shuffled_units[is_above], torch.tensor(ends))
    value_pieces = torch.tensor_split(shuffled_values[is_above], torch.tensor(ends))
    return list(zip(unit_pieces, value_pieces, strict=True))


def check(
    values: Tensor, bound: Tensor, rank: int, selected: tuple[Tensor, Tensor]
) -> None:
    """Compare with plain sorting."""
    selected_values, has_rank = selected
    assert selected_values.dtype == values.dtype
    for unit, unit_values in enumerate(values):
        descending = (
            unit_values[unit_values > bound[unit]].sort(descending=True).values
        )
        exists = rank < len(descending)
        assert bool(has_rank[unit]) == exists
        assert selected_values[unit] == (
            descending[rank] if exists else bound[unit]
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("small", [False, True])
def test_equals_plain_sorting(
    kind: str, dtype: torch.dtype, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:
        # many passes over few buckets, and the values are read again for each
        monkeypatch.setattr(quantile, "BUCKETS", 32)
    max_held = 7 if small else 2**20
    values = draw_values(kind, dtype)
    no_bound = torch.full((4,), -torch.inf, dtype=dtype)
    medians = values.median(1).values
    below_all = -values.abs().amax() * 2
    mixed = torch.stack(
        [values[0, 0], values[1].amin(), values[2].amax(), below_all]
    )
    sum_over_processes = SingleProcess().total
    for bound in (no_bound, medians, mixed):
        pieces = split(values, bound, [3, 100, 100])
        for rank in (0, 1, 17, 249, 499, 500, 10**6):
            selected = select(
                pieces.copy,
                bound,
                values.amax(1),
                rank,
                sum_over_processes,
                max_held,
            )
            check(values, bound, rank, selected)


@pytest.mark.parametrize(("max_held", "passes"), [(2**22, 1), (200, 4), (0, 8)])
def test_values_are_read_again_while_there_are_many(
    max_held: int, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantile, "BUCKETS", 64)
    values = draw_values("normal", torch.float32)
    bound = torch.full((4,), -torch.inf)
    calls = []

    def read_values() -> Iterator[UnitValues]:
        calls.append("read")
        yield from split(values, bound, [50, 900])

    sum_over_processes = SingleProcess().total
    selected = select(
        read_values, bound, values.amax(1), 12, sum_over_processes, max_held
    )
    check(values, bound, 12, selected)
    assert len(calls) == passes


def test_of_nothing() -> None:
    bound = torch.tensor([1.5, -torch.inf])
    for highest in (torch.tensor([2.0, 0.0]), torch.tensor([1.5, -torch.inf])):
        values, has_rank = select(
            list, bound, highest, 0, SingleProcess().total, 2**20
        )
        assert values.tolist() == bound.tolist() and not has_rank.any()


# 300: one process reads once, the second one several times
@pytest.mark.parametrize("max_held", [2**22, 300])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["normal", "ties", "mostly zero"])
def test_over_two_processes(
    kind: str, dtype: torch.dtype, max_held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantile, "BUCKETS", 256)
    values = draw_values(kind, dtype)
    bound = values.quantile(0.3, dim=1)
    pieces = split(values, bound, [100])
    rank = 40
    counts: dict[int, Tensor] = {}
    selected: dict[int, tuple[Tensor, Tensor]] = {}
    barrier = threading.Barrier(2, timeout=600)

    def run(process: int) -> None:
        def sum_over_processes(local_counts: Tensor) -> Tensor:
            counts[process] = local_counts
            barrier.wait()
            total_counts = counts[0] + counts[1]
            barrier.wait()
            return total_counts

        def read_values() -> list[UnitValues]:
            return [pieces[process]]

        selected[process] = select(
            read_values, bound, values.amax(1), rank, sum_over_processes, max_held
        )

    threads = [threading.Thread(target=run, args=(process,)) for process in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in (0, 1):
        check(values, bound, rank, selected[process])


@pytest.mark.parametrize("dtype", DTYPES)
def test_keys_are_in_the_order_of_the_values(dtype: torch.dtype) -> None:
    limits = torch.finfo(dtype)
    zero = torch.tensor(0.0, dtype=dtype)
    smallest = zero.nextafter(torch.tensor(1.0, dtype=dtype)).item()
    positive = [smallest, limits.tiny, 1.0, 1.5, limits.max, math.inf]
    negative = [-value for value in reversed(positive)]
    ascending = torch.tensor([*negative, 0.0, *positive], dtype=dtype)
    keys = to_keys(ascending)
    assert not keys.is_floating_point() and bool((keys.long().diff() > 0).all())
    assert torch.equal(from_keys(keys, dtype), ascending)
    assert to_keys(torch.tensor([-0.0], dtype=dtype)) == 0
    assert to_keys(torch.tensor(smallest, dtype=dtype)) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32])
def test_keys_of_other_types_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(KeyError):
        to_keys(torch.ones(2, dtype=dtype))
    with pytest.raises(KeyError):
        from_keys(torch.ones(2, dtype=torch.int32), dtype)
