"""What a concept set shares with its user: settings of the process, and open files."""

from __future__ import annotations

import builtins
import io
import os
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from nd_plugin.contracts.provenance import fingerprint

DESCRIPTORS = (Path("/proc/self/fd"), Path("/dev/fd"))


@dataclass(frozen=True)
class ReadingState:
    """Settings of this process that a plugin shares with its user."""

    values: Mapping[str, str]

    @classmethod
    def now(cls) -> ReadingState:
        """Return the settings of now."""
        random_numpy = str(np.random.get_state())
        values = {
            "working folder": Path.cwd(),
            "largest picture of Pillow": Image.MAX_IMAGE_PIXELS,
            "truncated pictures of Pillow": ImageFile.LOAD_TRUNCATED_IMAGES,
            "random numbers of NumPy": fingerprint([random_numpy.encode()]),
            "random numbers of Python": fingerprint(
                [repr(random.getstate()).encode()]
            ),
        }
        return cls({name: str(values[name]) for name in values})

    def difference(self, other: ReadingState) -> str:
        """Return the first setting in which another state differs, in words; "" for none."""
        for name in self.values:
            if self.values[name] != other.values[name]:
                return f"{name}: {self.values[name]} before, {other.values[name]} after"
        return ""


@contextmanager
def recording_open_files() -> Iterator[set[Path]]:
    """Record the files that are opened by ``open``, as real paths."""
    opened: set[Path] = set()
    original: Callable[..., Any] = builtins.open

    def recording(file: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(file, str | os.PathLike):
            opened.add(Path(os.fsdecode(file)).resolve())
        return original(file, *arguments, **options)

    builtins.open = recording
    io.open = recording
    try:
        yield opened
    finally:
        builtins.open = original
        io.open = original


@contextmanager
def recording_unclosed_files() -> Iterator[list[str]]:
    """Record the warnings of files that were dropped open."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield messages
    for warning in caught:
        if issubclass(warning.category, ResourceWarning):
            messages.append(str(warning.message))


def open_file_count() -> int:
    """Return the number of open file descriptors; 0 where the system does not list them."""
    for folder in DESCRIPTORS:
        if folder.is_dir():
            return len(list(folder.iterdir()))
    return 0
