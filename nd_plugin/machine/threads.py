"""Threads of torch: how many, and between which jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import torch


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for an operation, one at least: more than there are processors would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(count, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> AbstractContextManager[None]:
    """Many short operations, beside processes that decode: threads would only wait for a processor."""
    return threads(1)


@contextmanager
def parallel_jobs() -> Iterator[Callable[[Iterable[Callable[[], None]]], None]]:
    """Many short operations: threads are of use between independent jobs, and not inside each operation.

    Gives a function that does some jobs and returns when all are done, with the exception of the first that failed.
    """
    count, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def within(job: Callable[[], None]) -> None:
        with torch.inference_mode(inference):  # which each thread has of its own
            job()

    with one_thread(), ThreadPoolExecutor(count, "nd_plugin") as pool:

        def do(jobs: Iterable[Callable[[], None]]) -> None:
            for done in [pool.submit(within, job) for job in jobs]:
                done.result()

        yield do
