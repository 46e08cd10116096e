"""Memory is retained during a run and returned afterwards, on any system and with any C library."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch

from nd_plugin.machine import allocator
from nd_plugin.machine.allocator import (
    LARGEST_ADAPTED,
    MIN_CALLS_BETWEEN_TRIMS,
    MMAP_THRESHOLD,
    RAISED,
    TRIM_THRESHOLD,
    LastTrim,
    retain_memory,
    trim_memory,
)


class Glibc:
    """Stands for the C library: records its calls, and how large the process is."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []
        self.resident = 10
        self.in_use = 0  # what a trim leaves
        self.trimmed_at: list[int] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.calls.append((parameter, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.calls.append((pad,))
        self.trimmed_at.append(self.resident)
        self.resident = self.in_use
        return 1


@pytest.fixture
def glibc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Glibc]:
    """A C library of our own, whatever this machine has."""
    library = Glibc()
    monkeypatch.setattr(allocator, "_glibc", lambda: library)
    monkeypatch.setattr(allocator, "resident", lambda: library.resident)
    monkeypatch.setattr(allocator, "_last_trim", LastTrim())
    yield library


def test_results_do_not_change_and_contexts_nest() -> None:
    values = torch.arange(2**20, dtype=torch.float64)
    expected = values.sum()
    for _ in range(2):
        with retain_memory():
            first = values.clone()
            with retain_memory():
                second = first.clone()
            # integers below 2**53: the sum is exact in any order
            assert torch.cat([first, second]).sum() == 2 * expected
        assert first.equal(values) and second.equal(values)


def test_exceptions_pass_through() -> None:
    with pytest.raises(KeyError, match="of the caller"), retain_memory():
        raise KeyError("of the caller")


@pytest.mark.parametrize("fails", [False, True])
def test_memory_is_retained_inside_and_returned_afterwards(
    fails: bool, glibc: Glibc
) -> None:
    with pytest.raises(KeyError) if fails else nullcontext(), retain_memory():
        raised = [(MMAP_THRESHOLD, RAISED), (TRIM_THRESHOLD, RAISED)]
        assert sorted(glibc.calls) == sorted(raised)
        glibc.calls.clear()
        if fails:
            raise KeyError
    restored = [
        (MMAP_THRESHOLD, LARGEST_ADAPTED),
        (TRIM_THRESHOLD, 2 * LARGEST_ADAPTED),
    ]
    assert sorted(glibc.calls[:-1]) == sorted(restored)
    assert glibc.calls[-1] == (0,)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_no_library_is_opened_on_another_system(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(
        ctypes, "CDLL", lambda name: pytest.fail("there is no glibc to be opened")
    )
    with retain_memory():
        trim_memory()
        assert torch.ones(3).sum() == 3


@pytest.mark.parametrize("missing", [OSError("no such library"), None])
def test_another_c_library_is_left_alone(
    missing: OSError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Musl:
        def __init__(self, name: str | None) -> None:
            if missing is not None:
                raise missing

        def mallopt(self, *_: int) -> int:
            pytest.fail("its parameters are not glibc's")

        def malloc_trim(self, *_: int) -> int:
            pytest.fail("musl has no such function")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", Musl)
    with retain_memory():
        trim_memory()
        assert torch.ones(3).sum() == 3


def test_memory_is_returned_after_growth_and_not_for_every_batch(
    glibc: Glibc, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_trim = LastTrim(resident=10, allowed_growth=100)
    monkeypatch.setattr(allocator, "_last_trim", last_trim)
    glibc.in_use = 20
    for size in (50, 110, 111):
        glibc.resident = size
        trim_memory()
    assert glibc.trimmed_at == [111]
    assert last_trim.allowed_growth == 200, (
        "so soon, that the needs of a batch were returned"
    )
    for _ in range(MIN_CALLS_BETWEEN_TRIMS):
        glibc.resident += 25
        trim_memory()
    assert glibc.resident == 220 and glibc.trimmed_at == [111]
    glibc.resident = 221
    trim_memory()
    assert glibc.trimmed_at == [111, 221]
    assert last_trim.allowed_growth == 200, "after many batches"


def test_every_run_begins_with_the_growth_that_is_allowed_at_first(
    glibc: Glibc,
) -> None:
    with retain_memory():
        glibc.resident = 11 + allocator.ALLOWED_GROWTH
        trim_memory()
        assert glibc.trimmed_at == [11 + allocator.ALLOWED_GROWTH]
    glibc.trimmed_at.clear()
    with retain_memory():
        glibc.resident = glibc.in_use + allocator.ALLOWED_GROWTH
        trim_memory()
        assert glibc.trimmed_at == []
        glibc.resident += 1
        trim_memory()
        assert len(glibc.trimmed_at) == 1
