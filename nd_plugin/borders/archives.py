"""Archives of NumPy arrays (.npz), read without trust.

A few kilobytes can claim arrays of gigabytes, or unpack to them. Here the table of contents and the
header of every array are compared with each other and with a limit, before memory is taken.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nd_plugin.errors import RunInvalid

ENVIRONMENT = "ND_MAX_UNPACKED"
DEFAULT_LIMIT = 2**30  # bytes, 1 GiB
MOST_DIGITS = 18  # of the limit
SUFFIX = ".npy"
# NumPy writes no other; those of LZMA may ask for gigabytes before a byte is unpacked
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
Array = npt.NDArray[Any]


class Archive(Mapping[str, Array]):
    """Arrays of an archive by name, each of them read where it is asked for.

    A `KeyError` names an array that is missing.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {
            member.filename.removesuffix(SUFFIX): member
            for member in archive.infolist()
        }

    def __getitem__(self, name: str) -> Array:
        if name not in self._members:
            raise KeyError(name)
        with self._archive.open(self._members[name]) as file:
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


@contextmanager
def open_archive(file: IO[bytes], name: object) -> Iterator[Archive]:
    """Open an archive; ``name`` is that of the file, for messages.

    Raises RunInvalid for an archive that unpacks to more than the limit: 1 GiB, or what
    ``ND_MAX_UNPACKED`` says, or the size of the file itself if that is more. Raises ValueError and
    whatever zipfile raises for a damaged one.
    """
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_size(members, size, name)
        _check_members(archive, members)
        yield Archive(archive)


def unpacked_limit() -> int:
    """Return the bytes that an archive may unpack to. Raises RunInvalid for what is no number."""
    text = os.environ.get(ENVIRONMENT, "")
    if not text:
        return DEFAULT_LIMIT
    if not text.isdecimal() or len(text) > MOST_DIGITS or int(text) == 0:
        raise RunInvalid(f"{ENVIRONMENT} {text!r} is not a number of bytes")
    return int(text)


def _check_size(members: list[zipfile.ZipInfo], size: int, name: object) -> None:
    """Raise RunInvalid where the members unpack to more than the limit."""
    unpacked = sum(member.file_size for member in members)
    limit = unpacked_limit()
    if unpacked > max(limit, size):
        raise RunInvalid(
            f"{name} unpacks to {unpacked / 2**20:.0f} MiB, more than the limit of "
            f"{limit / 2**20:.0f} MiB; if the file can be trusted, allow more: "
            f"{ENVIRONMENT}={unpacked} (bytes)"
        )


def _check_members(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]
) -> None:
    """Check that each array is there once, and as large as its header says. Raises ValueError."""
    names: set[str] = set()
    for member in members:
        name = member.filename.removesuffix(SUFFIX)
        if name in names:
            raise ValueError(f"{name} is there twice")
        names.add(name)
        if member.compress_type not in METHODS:
            raise ValueError(f"{name} is compressed by a method that NumPy has not")
        with archive.open(member) as file:
            _check_header(name, file, member.file_size)


def _check_header(name: str, file: IO[bytes], size: int) -> None:
    """Check that an array is as large as its header says. Raises ValueError."""
    version = np.lib.format.read_magic(file)
    if version not in HEADER_READERS:
        raise ValueError(
            f"{name} has an unknown version {version} of NumPy's format"
        )
    shape, _, dtype = HEADER_READERS[version](file)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ValueError(f"{name} is an array of {dtype}, not of numbers")
    claimed = math.prod(shape) * dtype.itemsize
    available = size - file.tell()
    if claimed != available or min(shape, default=0) < 0:
        raise ValueError(
            f"{name} claims {dtype}{shape}, {claimed} bytes, and has {available}"
        )
