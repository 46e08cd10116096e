"""Time limit of a model's runs: a loop in an ONNX file may have no end.

ONNX Runtime computes in C++, where Python cannot interrupt it. It looks at ``RunOptions.terminate``
between two nodes; a run that never comes to a next node is left behind in its thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import onnxruntime as ort

from nd_plugin import BadInput, ModelFailed

VARIABLE = "ND_ONNX_TIME_LIMIT"
DEFAULT = 300.0  # seconds
GRACE = 5.0  # seconds in which a run that is told to end does
WATCH_INTERVAL = 1.0  # seconds between two looks at the runs at work
FATAL = 4  # log level: errors are raised, and would be logged a second time

T = TypeVar("T")


class TimeLimitExceeded(ModelFailed):
    """Run of a model that took too long."""


def time_limit() -> float:
    """Return the limit of one run in seconds, from the environment. Raises BadInput."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return DEFAULT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise BadInput(f"{VARIABLE}={text} is not a number of seconds above 0")
    return seconds


def run_within_limit(run: Callable[[ort.RunOptions], T], subject: str) -> T:
    """Return what ``run`` returns, which passes the options that it gets on to a session.

    It runs in a thread of its own: Ctrl-C works meanwhile. Raises what it raises, and
    TimeLimitExceeded, which names the ``subject``.
    """
    limit = time_limit()
    options = new_run_options()
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(run(options))
        except BaseException as error:
            failures.append(error)

    # a daemon: Python does not wait for a run that cannot be ended
    thread = threading.Thread(target=work, daemon=True, name="ONNX Runtime")
    thread.start()
    try:
        thread.join(limit)
        is_late = thread.is_alive()
    finally:
        if thread.is_alive():
            options.terminate = True
            thread.join(GRACE)
    if is_late:
        raise _exceeded(subject, limit)
    if failures:
        raise failures[0]
    return results[0]


@dataclass(eq=False)
class TimedRun:
    """Run that the watchdog ends when its time has come."""

    options: ort.RunOptions
    deadline: float  # of `time.monotonic`
    has_expired: bool = False


class Watchdog:
    """Thread that ends runs at their deadlines; it looks at them once a second, while they run.

    A thread for each run would cost more than the run of a small model.
    """

    def __init__(self) -> None:
        self._runs: list[TimedRun] = []
        self._has_runs = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, run: TimedRun) -> None:
        """Watch a run."""
        with self._lock:
            self._runs.append(run)
            self._has_runs.set()
            # a forked process has no threads but one
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._watch,
                    daemon=True,
                    name="ONNX Runtime's time limit",
                )
                self._thread.start()

    def remove(self, run: TimedRun) -> None:
        """Watch a run no longer."""
        with self._lock:
            self._runs.remove(run)
            if not self._runs:
                self._has_runs.clear()

    def _watch(self) -> None:
        while True:
            self._has_runs.wait()
            time.sleep(self._seconds_to_next())
            with self._lock:
                self._end_expired()

    def _seconds_to_next(self) -> float:
        with self._lock:
            deadlines = [run.deadline for run in self._runs if not run.has_expired]
        next_deadline = min(deadlines, default=float("inf"))
        return min(max(next_deadline - time.monotonic(), 0.0), WATCH_INTERVAL)

    def _end_expired(self) -> None:
        now = time.monotonic()
        for run in self._runs:
            if not run.has_expired and run.deadline <= now:
                run.has_expired = True
                run.options.terminate = True


WATCHDOG = Watchdog()


@contextmanager
def ended_after_limit(
    options: ort.RunOptions, image_count: int, subject: str
) -> Iterator[None]:
    """End a run with these options that takes longer than the limit for each of its images.

    The run stays in its thread, as a GPU demands. Raises TimeLimitExceeded.
    """
    limit = time_limit() * max(image_count, 1)
    run = TimedRun(options, time.monotonic() + limit)
    WATCHDOG.add(run)
    try:
        yield
    except Exception as error:
        if not run.has_expired:
            raise
        raise _exceeded(subject, limit) from error
    finally:
        WATCHDOG.remove(run)


def new_run_options() -> ort.RunOptions:
    """Return options of a run that logs nothing."""
    options = ort.RunOptions()
    options.log_severity_level = FATAL
    return options


def _exceeded(subject: str, limit: float) -> TimeLimitExceeded:
    return TimeLimitExceeded(
        f"{subject} did not end within {limit:g} s: a loop without end, or a large model on a slow "
        f"machine, for which {VARIABLE}=SECONDS allows more"
    )
