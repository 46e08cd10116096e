"""Run of ``nd concepts check``: how many images, in how many processes, with what progress.

The run is that around the code, as `checked_checksums` is: a plugin's check takes a concept set's
own options, and calls `check_each` for its images.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from nd_plugin.errors import ConceptSetInvalid, ProcessLost
from nd_plugin.foreign_code import describe_error
from nd_plugin.machine.termination import ignore_in_worker
from nd_plugin.pictures.pixel_limit import pixel_limit_around

Item = TypeVar("Item")
Result = TypeVar("Result")

STAGE = "checking"
MOST_WORKERS = 4  # by default
IMAGES_AT_ONCE = 32  # that a process takes
# processes take a second to start, in which one reads hundreds of images
FEWEST_FOR_PROCESSES = 2000


@dataclass(frozen=True)
class CheckRun:
    """Bounds of a check; see `check_each`."""

    limit: int | None = None  # images that are read; None: all
    workers: int = 0  # processes for many images; 0: this one
    # of a picture; processes start without the limit around this one
    max_pixels: int | None = None
    # called with the stage, the images done and all of them
    progress: Callable[[str, int, int], object] = lambda stage, done, total: None


_run: ContextVar[CheckRun] = ContextVar("check_run", default=CheckRun())  # noqa: B039


@contextmanager
def check_run(run: CheckRun) -> Iterator[None]:
    """Have `check_each` and `looks_at_all` follow ``run`` inside."""
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)


def looks_at_all(count: int) -> bool:
    """Return whether a check reads all of so many images."""
    limit = _run.get().limit
    return limit is None or limit >= count


def check_each(
    check: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Result]:
    """Yield ``check(item)`` for the items that the run looks at, in their order.

    ``check`` and the items have to be picklable: many are divided among processes. Raises
    ConceptSetInvalid where ``check`` is not, ProcessLost for a process that died.
    """
    run = _run.get()
    selected = items[: run.limit]
    is_shared = run.workers > 1 and len(selected) >= FEWEST_FOR_PROCESSES
    results = (
        _in_processes(check, selected, run)
        if is_shared
        else map(check, selected)  # under the limit of pixels around it
    )
    run.progress(STAGE, 0, len(selected))
    for done, result in enumerate(results, start=1):
        run.progress(STAGE, done, len(selected))
        yield result


def default_workers() -> int:
    """Return as many processes as there are cores, at most four."""
    # it imports torch, which the processes do not need
    from nd_plugin.probe_data.workers import cores

    return min(cores(), MOST_WORKERS)


def _in_processes(
    check: Callable[[Item], Result], items: Sequence[Item], run: CheckRun
) -> Iterator[Result]:
    _check_picklable(check)
    pool = ProcessPoolExecutor(
        run.workers,
        # no fork: threads may hold locks just now
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(check, run.max_pixels),
    )
    with pool:
        try:
            yield from pool.map(_check_item, items, chunksize=IMAGES_AT_ONCE)
        except BrokenProcessPool as error:
            raise ProcessLost(
                "a process that checks images died, for want of memory or by a file that crashes "
                "a decoder; check with --workers 0 to see at which image"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _check_picklable(check: Callable[[Any], Any]) -> None:
    """Raise ConceptSetInvalid for a check, and the set in it, that processes cannot be given."""
    try:
        pickle.dumps(check)
    except Exception as error:  # a set's own code may raise anything
        raise ConceptSetInvalid(
            "the concept set cannot be given to other processes, for which its contract asks: "
            f"{describe_error(error)}; check with --workers 0"
        ) from error


# one check and its limit of pixels, in a worker process
_worker_check: list[tuple[Callable[[Any], Any], int | None]] = []


def _start_worker(check: Callable[[Any], Any], max_pixels: int | None) -> None:
    ignore_in_worker()
    _worker_check[:] = [(check, max_pixels)]


def _check_item(item: Any) -> Any:
    check, max_pixels = _worker_check[0]
    with pixel_limit_around(max_pixels):
        return check(item)
