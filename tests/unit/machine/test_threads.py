"""Numbers of threads are restored, and jobs in parallel compute as in one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from nd_plugin.machine.threads import one_thread, parallel_jobs, threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """Three threads, on a machine of any number of cores."""
    count = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(count)


def test_one_thread_and_then_as_many_as_before() -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("count", "expected"), [(2, 2), (0, 1), (-3, 1)])
def test_there_is_always_a_thread(count: int, expected: int) -> None:
    with threads(count):
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 3


def test_threads_are_restored_after_an_exception() -> None:
    with pytest.raises(KeyError, match="of the caller"), one_thread():
        raise KeyError("of the caller")
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("inference", [False, True])
def test_every_job_is_done_with_one_thread_in_the_mode_of_the_caller(
    inference: bool,
) -> None:
    done: dict[int, tuple[int, bool]] = {}

    def job(number: int) -> Callable[[], None]:
        def note() -> None:
            done[number] = (
                torch.get_num_threads(),
                torch.is_inference_mode_enabled(),
            )

        return note

    with torch.inference_mode(inference), parallel_jobs() as run_jobs:
        run_jobs(job(number) for number in range(10))
        assert done == dict.fromkeys(range(10), (1, inference))
        done.clear()
        run_jobs([job(10)])
        assert done == {10: (1, inference)}
    assert torch.get_num_threads() == 3


def test_jobs_run_at_the_same_time() -> None:
    """Each of three jobs waits for the two others."""
    meeting = threading.Barrier(3, timeout=300)

    def meet() -> None:
        meeting.wait()

    with parallel_jobs() as run_jobs:
        run_jobs([meet] * 3)
    assert not meeting.broken


def test_the_exception_of_the_first_job_that_failed_is_raised() -> None:
    second_failed = threading.Event()

    def fail_first() -> None:
        assert second_failed.wait(300)
        raise KeyError("first")

    def fail_second() -> None:
        second_failed.set()
        raise KeyError("second")

    with pytest.raises(KeyError, match="first"), parallel_jobs() as run_jobs:
        run_jobs([lambda: None, fail_first, fail_second])
    assert torch.get_num_threads() == 3
