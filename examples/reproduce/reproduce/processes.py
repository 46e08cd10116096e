"""Work in several processes, or in this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

from nd_plugin.machine.parent_watch import end_with_parent

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
    with ProcessPoolExecutor(processes, context, end_with_parent) as executor:
        jobs = [executor.submit(function, *arguments) for arguments in calls]
        for job in jobs:
            yield job.result()
