"""Garbage that only the process which made it may end, as a session of ONNX Runtime is."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Owned:
    """Object in a circle of references that notes in which process it ends."""

    def __init__(self, note: Path) -> None:
        self.itself = self
        self.note = note

    def __del__(self) -> None:
        with self.note.open("a") as file:
            file.write(f"{os.getpid()}\n")


@contextmanager
def garbage_of_this_process(note: Path) -> Iterator[None]:
    """Leave garbage that this process does not collect inside, and check that no other does."""
    gc.disable()
    try:
        Owned(note)
        yield
        assert not note.exists(), "another process has ended it"
    finally:
        gc.enable()
    gc.collect()
    assert note.read_text() == f"{os.getpid()}\n"


def collect_in_workers(first_process: int) -> None:
    """Collect garbage in any process but the first."""
    if os.getpid() != first_process:
        gc.collect()
