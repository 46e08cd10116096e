"""Stderr that may be lost while a command runs: a closed terminal or pipe, or a full disk.

A run of hours does not fail for a line of its progress that nobody can read.
"""

from __future__ import annotations

import io
import sys
from typing import Any

STDERR = 2  # the file descriptor


class ForgivingFile(io.FileIO):
    """File that drops what cannot be written to it."""

    def write(self, content: Any) -> int | None:  # type: ignore[override,unused-ignore]
        """Write bytes; return their number, also where they are dropped."""
        try:
            return super().write(content)
        except OSError:
            return memoryview(content).nbytes


def forgive_stderr() -> None:
    """Replace this process's own stderr by one that drops what cannot be written.

    Other streams in its place, such as those of tests and notebooks, are left alone.
    """
    stream = sys.stderr
    if not isinstance(stream, io.TextIOWrapper) or _descriptor(stream) != STDERR:
        return
    if isinstance(getattr(stream.buffer, "raw", None), ForgivingFile):
        return
    stream.flush()
    raw = ForgivingFile(STDERR, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
    )


def _descriptor(stream: io.TextIOWrapper) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None
