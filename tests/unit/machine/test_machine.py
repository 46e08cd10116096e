"""What surrounds a run is left as it was found."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator

import pytest
import torch

from nd_plugin.machine import allocator
from nd_plugin.machine.allocator import (
    LARGEST_ADAPTED,
    MMAP_THRESHOLD,
    RAISED,
    TRIM_THRESHOLD,
    retain_memory,
)
from nd_plugin.machine.threads import one_thread, threads


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Libc:
    """Writes down what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.asked.append((parameter, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.asked.append((pad,))
        return 1


@pytest.mark.usefixtures("three_threads")
class TestOneThread:
    def test_there_is_one_and_then_as_many_as_before(self) -> None:
        with one_thread():
            assert torch.get_num_threads() == 1
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3

    def test_it_is_never_none(self) -> None:
        for count, expected in ((2, 2), (0, 1), (-3, 1)):
            with threads(count):
                assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 3

    def test_after_an_exception_too(self) -> None:
        with pytest.raises(KeyError, match="of the caller"), one_thread():
            raise KeyError("of the caller")
        assert torch.get_num_threads() == 3


class TestSteady:
    def test_it_changes_no_result_and_may_be_nested(self) -> None:
        values = torch.arange(2**20, dtype=torch.float64)
        expected = values.sum()
        for _ in range(2):
            with retain_memory():
                first = values.clone()
                with retain_memory():
                    second = first.clone()
                assert torch.cat([first, second]).sum() == 2 * expected
            assert first.equal(values) and second.equal(values)

    def test_exceptions_pass_through_it(self) -> None:
        with pytest.raises(KeyError, match="of the caller"), retain_memory():
            raise KeyError("of the caller")

    @pytest.mark.parametrize("fails", [False, True])
    def test_memory_is_kept_inside_and_returned_afterwards(
        self, fails: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        libc = Libc()
        monkeypatch.setattr(allocator, "_glibc", lambda: libc)
        try:
            with retain_memory():
                assert sorted(libc.asked) == sorted(
                    [(MMAP_THRESHOLD, RAISED), (TRIM_THRESHOLD, RAISED)]
                )
                libc.asked.clear()
                if fails:
                    raise KeyError
        except KeyError:
            assert fails
        assert libc.asked[-1] == (0,)
        assert sorted(libc.asked[:-1]) == sorted(
            [(MMAP_THRESHOLD, LARGEST_ADAPTED), (TRIM_THRESHOLD, 2 * LARGEST_ADAPTED)]
        )

    @pytest.mark.parametrize("platform", ["darwin", "win32"])
    def test_nothing_is_asked_of_another_system(
        self, platform: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(
            ctypes, "CDLL", lambda name: pytest.fail("there is no glibc to be opened")
        )
        with retain_memory():
            assert torch.ones(3).sum() == 3

    @pytest.mark.parametrize("missing", [OSError("no such library"), None])
    def test_nothing_is_asked_of_another_libc(
        self, missing: OSError | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Musl:
            def __init__(self, name: str | None) -> None:
                if missing is not None:
                    raise missing

            def mallopt(self, *_: int) -> int:
                pytest.fail("its parameters are not glibc's")

        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(ctypes, "CDLL", Musl)
        with retain_memory():
            assert torch.ones(3).sum() == 3


def test_memory_is_returned_when_it_has_grown_and_not_for_every_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    returned: list[int] = []
    has = [10]

    class Libc:
        def malloc_trim(self, keep: int) -> None:
            returned.append(has[0])
            has[0] = 20  # what is in use stays

    monkeypatch.setattr(allocator, "_glibc", Libc)
    monkeypatch.setattr(allocator, "resident", lambda: has[0])
    monkeypatch.setattr(allocator, "_relief", allocator._Relief(base=10, allowed=100))
    for size in (50, 110, 111):
        has[0] = size
        allocator.trim_memory()
    assert returned == [111] and allocator._relief.allowed == 200, (
        "so soon, that what a batch needs was returned"
    )
    for _ in range(allocator.SELDOM):
        has[0] += 25
        allocator.trim_memory()
    assert returned == [111]
    has[0] = 221
    allocator.trim_memory()
    assert returned == [111, 221] and allocator._relief.allowed == 200
