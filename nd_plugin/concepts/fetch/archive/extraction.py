"""Unpacking of zip archives of strangers: files alone, inside one folder, within limits."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from nd_plugin.candidates.disk_space import free_bytes
from nd_plugin.concepts.fetch.archive.contents import (
    ArchiveRefused,
    Entry,
    Limits,
    check_entries,
    check_table,
)
from nd_plugin.errors import NDError, NotSaved
from nd_plugin.storage.durable_files import NEW_FILE
from nd_plugin.storage.lock_file import not_saved

CHUNK = 2**20  # bytes
BLOCK = 4096  # bytes of a disk that the smallest file takes
# of each of Python's reads, beside that of the table of contents
LARGEST_READ = 2**24


@dataclass(frozen=True)
class Unpacked:
    """Folder that was unpacked."""

    folder: Path  # that holds the marker
    inner_name: str  # of the folder in the archive; "" for its top
    files: int
    bytes: int
    left_out: int  # files beside that folder


class BoundedFile:
    """File that refuses reads of more bytes than its table of contents was measured to have."""

    def __init__(self, file: IO[bytes], largest: int) -> None:
        self._file = file
        self._largest = largest

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes, or all that follow. Raises ArchiveRefused for too many."""
        content = self._file.read(
            min(size, self._largest) if size >= 0 else self._largest
        )
        if len(content) == self._largest:
            raise ArchiveRefused("its table of contents is damaged")
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True


def unpack(
    archive: Path,
    target: Path,
    marker: str,
    limits: Limits,
    show_progress: Callable[[str, int, int | None], None],
) -> Unpacked:
    """Unpack the folder of an archive that holds the file ``marker`` into ``target``.

    Of several the one nearest to the top. What lies beside it is left out. Raises ArchiveRefused,
    after which ``target`` may hold files, and NotSaved.
    """
    with _damage_refused(), archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        table = check_table(file, size, limits)
        bounded = BoundedFile(file, max(table.size, LARGEST_READ) + 1)
        with zipfile.ZipFile(bounded) as opened:
            infos = opened.infolist()
            if len(infos) != table.entries:
                raise ArchiveRefused(
                    "its table of contents can be read in two ways"
                )
            entries = check_entries(infos, size, limits)
            inner = _inner_folder(entries, marker)
            inside = [entry for entry in entries if _is_below(entry.path, inner)]
            _check_room(inside, target)
            written = 0
            with _disk_failures(target):
                target.mkdir(parents=True)
                for number, entry in enumerate(inside, start=1):
                    path = target / entry.path.relative_to(inner)
                    written += _unpack_file(opened, entry, path)
                    show_progress("unpack", number, len(inside))
    return Unpacked(
        target, inner.name, len(inside), written, len(entries) - len(inside)
    )


def check_end(archive: Path, limits: Limits) -> None:
    """Raise ArchiveRefused for an archive whose end is missing or damaged, without reading it."""
    with _damage_refused(), archive.open("rb") as file:
        check_table(file, file.seek(0, os.SEEK_END), limits)


def _inner_folder(entries: Sequence[Entry], marker: str) -> PurePosixPath:
    """Return the folder that holds the marker."""
    folders = [entry.path.parent for entry in entries if entry.path.name == marker]
    if not folders:
        raise ArchiveRefused(f"it holds no {marker}: it is another archive")
    return min(folders, key=lambda folder: (len(folder.parts), folder.parts))


def _is_below(path: PurePosixPath, folder: PurePosixPath) -> bool:
    return path.parts[: len(folder.parts)] == folder.parts


def _check_room(entries: Sequence[Entry], target: Path) -> None:
    """Raise NotSaved where the files do not fit on the disk."""
    blocks = sum(-(-entry.info.file_size // BLOCK) for entry in entries)
    check_free(blocks * BLOCK, target.parent, "unpacked files")


def check_free(size: int, folder: Path, what: str) -> None:
    """Raise NotSaved where ``size`` bytes do not fit on the disk of an existing folder."""
    free = free_bytes(folder)
    if size > free:
        raise NotSaved(
            f"{what} take {size / 2**20:.1f} MiB, and the disk of {folder} has {free / 2**20:.1f} "
            "MiB to use: free some, or put the cache on another disk: ND_CACHE=FOLDER"
        )


def _unpack_file(opened: zipfile.ZipFile, entry: Entry, path: Path) -> int:
    """Unpack a file, and return its bytes. Raises ArchiveRefused, and OSError of the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    descriptor = os.open(path, NEW_FILE, 0o666)
    with os.fdopen(descriptor, "wb") as target:
        for content in _contents(opened, entry):
            size += len(content)
            if size > entry.info.file_size:
                break
            target.write(content)
    if size != entry.info.file_size:
        raise ArchiveRefused(
            f"{entry.path} has another size than the table of contents says"
        )
    return size


def _contents(opened: zipfile.ZipFile, entry: Entry) -> Iterator[bytes]:
    """Yield the content of a file. Raises ArchiveRefused for a damaged one."""
    with _damage_refused(str(entry.path)), opened.open(entry.info) as source:
        while content := source.read(CHUNK):
            yield content


@contextmanager
def _damage_refused(name: str = "") -> Iterator[None]:
    """Raise ArchiveRefused for whatever Python raises for a damaged archive."""
    try:
        yield
    except (ArchiveRefused, NDError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        subject = f"{name} in it" if name else "it"
        raise ArchiveRefused(
            f"{subject} is damaged: {type(error).__name__}: {reason}"
        ) from error


@contextmanager
def _disk_failures(target: Path) -> Iterator[None]:
    """Raise NotSaved for errors of the disk."""
    try:
        yield
    except FileExistsError as error:  # on disks that do not tell a from A
        raise ArchiveRefused(
            f"two of its files have one name on this disk: {error.filename}"
        ) from error
    except OSError as error:
        raise not_saved(target, error) from error
