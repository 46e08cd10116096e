"""Threads of torch: their number, and jobs that run in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import torch

Job = Callable[[], None]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` threads for an operation, at least one.

    More threads than processors wait for each other.
    """
    previous_count = torch.get_num_threads()
    torch.set_num_threads(max(count, 1))
    try:
        yield
    finally:
        torch.set_num_threads(previous_count)


def one_thread() -> AbstractContextManager[None]:
    """Let torch use one thread: for many short operations while other processes use the cores."""
    return threads(1)


@contextmanager
def parallel_jobs() -> Iterator[Callable[[Iterable[Job]], None]]:
    """Run independent jobs in parallel, each with one thread of torch.

    Many short operations gain nothing from threads inside each operation. Yields a function
    that runs jobs and returns when all are done. It raises the exception of the first job,
    in their order, that failed.
    """
    worker_count = torch.get_num_threads()
    inference_mode = torch.is_inference_mode_enabled()

    def run_job(job: Job) -> None:
        with torch.inference_mode(inference_mode):  # each thread has its own mode
            job()

    with one_thread(), ThreadPoolExecutor(worker_count, "nd_plugin") as pool:

        def run_jobs(jobs: Iterable[Job]) -> None:
            futures = [pool.submit(run_job, job) for job in jobs]
            for future in futures:
                future.result()

        yield run_jobs
