"""Work in forked copies of this process, where threads of one Python process would wait in turn."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeVar

import torch

from nd_plugin.errors import ProcessLost, RunFailed
from nd_plugin.foreign_code import describe_error, is_failure
from nd_plugin.machine.termination import ignore_in_worker, shielded
from nd_plugin.machine.worker_exits import REMEDY, describe_crash

T = TypeVar("T")

SECONDS_TO_END = 10.0  # of a worker that has closed its pipe; it ends by itself


class Worker(NamedTuple):
    """Forked process, and the pipe that its results come from."""

    process: BaseProcess
    results: Connection


def can_fork() -> bool:
    """Return whether new processes start as copies of this one, with all its memory."""
    return multiprocessing.get_start_method() == "fork"


def name_nothing(number: int) -> str:
    """Name no work."""
    return ""


@contextmanager
def starting_workers() -> Iterator[None]:
    """Start processes that no signal reaches unprepared, and that leave our garbage alone.

    A collector of garbage in a forked process would end objects that only this process can end: a
    session of ONNX Runtime waits for its threads, of which a fork has none. Frozen objects stay
    frozen in the fork.
    """
    gc.freeze()
    try:
        with shielded():
            yield
    finally:
        gc.unfreeze()


def map_in_order(
    do: Callable[[int], T],
    numbers: Sequence[int],
    workers: int,
    name: Callable[[int], str] = name_nothing,
) -> Generator[T, None, None]:
    """Yield ``do(number)`` for all ``numbers`` in their order, computed in turns.

        number    0        1         2         3        4
        computed  here     worker 1  worker 2  here     worker 1

    A worker has the memory that this process had at the beginning. Its results are pickled;
    each waits in a pipe until it is its turn. Workers end with this process, however that
    ends, and when the generator is closed. Raises the exceptions of ``do``, RunFailed where a
    worker cannot be started, and ProcessLost where one crashes; ``name`` says what it was at.
    """
    process_count = min(workers + 1, len(numbers))
    running: list[Worker] = []
    try:
        for turn in range(1, process_count):
            running.append(_start_worker(do, numbers[turn::process_count], running))
        for index, number in enumerate(numbers):
            turn = index % process_count
            if turn == 0:
                yield do(number)
            else:
                yield _next_result(running[turn - 1], name(number))
    finally:
        for worker in running:
            worker.process.kill()  # which has nothing to save
            worker.process.join()
            worker.results.close()


def _start_worker(
    do: Callable[[int], T], numbers: Sequence[int], running: Sequence[Worker]
) -> Worker:
    """Start a worker beside those that are ``running``."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    inherited_readers = [reader, *(worker.results for worker in running)]
    process = multiprocessing.Process(
        target=_work, args=(do, numbers, writer, inherited_readers), daemon=True
    )
    try:
        with starting_workers():
            process.start()
    except OSError as error:
        raise RunFailed(
            f"a worker cannot be started ({error.strerror}): {REMEDY}"
        ) from error
    writer.close()  # otherwise the end of the worker would not close the pipe
    return Worker(process, reader)


def _work(
    do: Callable[[int], T],
    numbers: Sequence[int],
    writer: Connection,
    inherited_readers: Sequence[Connection],
) -> None:
    """Send the outcomes of ``do(number)`` for all ``numbers``; this is what a worker runs."""
    # signals are handled by the first process, which kills its workers
    ignore_in_worker()
    torch.set_num_threads(1)
    for reader in inherited_readers:
        reader.close()  # otherwise the end of the first process would not break the pipe
    with suppress(BrokenPipeError):
        for number in numbers:
            writer.send(_outcome(do, number))


def _outcome(
    do: Callable[[int], T], number: int
) -> tuple[T | None, Exception | None]:
    """Return the result of ``do(number)``, or its exception with the traceback as a note."""
    try:
        return do(number), None
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        return None, _picklable(error)
    # SystemExit of foreign code would end this worker
    except BaseException as error:
        if not is_failure(error):
            raise
        return None, RunFailed(f"a worker failed: {describe_error(error)}")


def _picklable(error: Exception) -> Exception:
    """Return the exception, or a RunFailed with its message where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RunFailed(describe_error(error))
    return error


def _next_result(worker: Worker, work: str) -> Any:
    """Receive the next result of a worker. Raises its exception, or ProcessLost if it crashed."""
    try:
        result, error = worker.results.recv()
    except (EOFError, OSError, pickle.UnpicklingError) as end:
        worker.process.join(SECONDS_TO_END)
        worker.process.kill()
        worker.process.join()
        raise ProcessLost(
            describe_crash("a worker process", worker.process.exitcode, work)
        ) from end
    if error is not None:
        raise error
    return result
