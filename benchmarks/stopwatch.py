"""Stopwatch of the benchmarks."""

from __future__ import annotations

import time
from types import TracebackType


class Stopwatch:
    """Wall-clock time of ``with`` blocks: each lap, and their sum."""

    def __init__(self) -> None:
        self.laps: list[float] = []  # seconds
        self.start = 0.0  # of the lap at work, as `time.perf_counter` says

    def __enter__(self) -> Stopwatch:
        self.start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.laps.append(time.perf_counter() - self.start)

    @property
    def seconds(self) -> float:
        """Sum of all laps."""
        return sum(self.laps)
