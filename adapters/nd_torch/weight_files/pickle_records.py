"""What a pickle is read into: values, names that are not imported, calls that are not made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO

MOST_BYTES = 64 * 2**20  # of one pickle; a state dict takes about 300 a tensor
MOST_CALLS = 8  # of what a call has returned, and so on


class BadPickle(Exception):
    """Pickle that cannot be read, with the reason."""


@dataclass(frozen=True)
class Reference:
    """Name of a function or class, which is not imported."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """Dotted name."""
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False)
class Construction:
    """Object that a call would have made: the call, and what would have gone into the object."""

    function: Any  # a Reference, unless the pickle is odd
    arguments: tuple[Any, ...]
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)
    state: Any = None

    @property
    def path(self) -> str:
        """Dotted name of what would have been called; of what returns it, where a call does."""
        function = self.function
        for _ in range(MOST_CALLS):
            if isinstance(function, Construction):
                function = function.function
        is_named = isinstance(function, Reference)
        return function.path if is_named else type(function).__name__


class BoundedReader:
    """Binary file that is read up to a number of bytes: no length in a pickle reserves more."""

    def __init__(self, file: BinaryIO, limit: int = MOST_BYTES) -> None:
        self._file = file
        self._left = limit

    def read(self, count: int) -> bytes:
        """Read bytes. Raises BadPickle where the file is too short, or more than the limit."""
        self._spend(count)
        data = self._file.read(count)
        if len(data) < count:
            raise BadPickle("it ends in the middle of a pickle")
        return data

    def readline(self) -> bytes:
        """Read a line, of at most 64 KiB."""
        line = self._file.readline(2**16)
        self._spend(len(line))
        return line

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise BadPickle(
                f"its pickle takes more than {MOST_BYTES >> 20} MiB, or is damaged"
            )
