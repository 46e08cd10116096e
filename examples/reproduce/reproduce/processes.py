"""Work in several processes, or in this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


def results_of(
    function: Callable[..., Result],
    calls: Sequence[tuple[Any, ...]],
    processes: int,
) -> Iterator[Result]:
    """Yield what a function returns for each tuple of arguments, in their order.

    With one process this one does the work. Others are spawned, not forked: torch's threads do
    not outlive a fork. They end with this process, however that ends.
    """
    if processes == 1:
        for arguments in calls:
            yield function(*arguments)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, _end_with_parent) as executor:
        jobs = [executor.submit(function, *arguments) for arguments in calls]
        for job in jobs:
            yield job.result()


def _end_with_parent() -> None:
    """Watch the first process in a thread: a killed one tells its workers nothing."""
    Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    """Wait for the end of the first process, and end this one in the middle of its work."""
    parent = parent_process()
    assert parent is not None, "only workers have a first process"
    parent.join()
    os._exit(1)
