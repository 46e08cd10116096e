"""Work done by copies of this process, for what the threads of one Python process can hardly do side by side."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from nd_plugin.errors import RunFailed

T = TypeVar("T")


FEWER = "use fewer workers, or none: workers=0, --workers 0"


def can_fork() -> bool:
    """Whether processes begin as copies of this one, with all that it holds; where they do not, there are none."""
    return multiprocessing.get_start_method() == "fork"


def map_in_order(do: Callable[[int], T], numbers: Sequence[int], copies: int) -> Iterator[T]:
    """``do`` for all ``numbers``, in their order: this process and its copies take turns.

    A copy has what this process had at the beginning; what it gives back is pickled, and waited with until it is
    fetched. It ends with this process, however that ends. Raises what ``do`` raises, and RunFailed where a copy cannot
    begin or dies.
    """
    turns = min(copies + 1, len(numbers))
    begun: list[tuple[BaseProcess, Connection]] = []
    try:
        for turn in range(1, turns):
            begun.append(_begin(do, numbers[turn::turns], [reader for _, reader in begun]))
        for place, number in enumerate(numbers):
            turn = place % turns
            yield _received(*begun[turn - 1]) if turn else do(number)
    finally:
        for process, reader in begun:
            process.terminate()
            process.join()
            reader.close()


def _begin(
    do: Callable[[int], T], numbers: Sequence[int], others: Sequence[Connection]
) -> tuple[BaseProcess, Connection]:
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(
        target=_copy, args=(do, numbers, writer, [reader, *others]), daemon=True
    )
    try:
        process.start()
    except OSError as error:
        raise RunFailed(
            f"no process can be begun beside this one ({error.strerror}): {FEWER}"
        ) from error
    writer.close()  # so that the end of the copy is seen
    return process, reader


def _copy(
    do: Callable[[int], T],
    numbers: Sequence[int],
    writer: Connection,
    readers: Sequence[Connection],
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses Ctrl-C means the first process
    torch.set_num_threads(1)
    for reader in readers:
        reader.close()  # so that the end of the first process is seen
    with suppress(BrokenPipeError):
        for number in numbers:
            writer.send(_outcome(do, number))


def _outcome(do: Callable[[int], T], number: int) -> tuple[T | None, Exception | None]:
    try:
        return do(number), None
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        return None, _that_arrives(error)


def _that_arrives(error: Exception) -> Exception:
    """The error, or another that says the same: not all survive being pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RunFailed(f"{type(error).__name__}: {error}")
    return error


def _received(process: BaseProcess, reader: Connection) -> Any:
    try:
        result, error = reader.recv()
    except (EOFError, ConnectionResetError) as end:
        process.join()
        raise RunFailed(
            f"a process beside this one died (exit code {process.exitcode}), most likely out of memory: {FEWER}"
        ) from end
    if error is not None:
        raise error
    return result
