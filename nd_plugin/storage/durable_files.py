"""Files and folders on the disk itself, and their removal file by file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path, PurePath

# A new file, and nothing that is there already; not through a link.
NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
# of file systems whose folders cannot be written through
NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.EACCES, errno.EOPNOTSUPP)


def create_file(path: Path, content: bytes) -> None:
    """Write a new file to the disk, not to a cache that a power cut loses. Raises OSError."""
    descriptor = os.open(path, NEW_FILE, 0o666)
    try:
        write_through(descriptor, content)
    finally:
        os.close(descriptor)


def create_unsynced(path: Path, content: bytes) -> None:
    """Write a new file, not yet through to the disk: of many, see `sync_all`. Raises OSError."""
    descriptor = os.open(path, NEW_FILE, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def sync_all() -> None:
    """Write whatever has been written through to the disk, where the system can."""
    if hasattr(os, "sync"):
        os.sync()


def write_through(descriptor: int, content: bytes) -> None:
    """Write all of ``content`` to an open file, and to the disk. Raises OSError."""
    unwritten = memoryview(content)
    while unwritten:
        written = os.write(descriptor, unwritten)
        unwritten = unwritten[written:]
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, where the system can. Raises OSError."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def regular_files(folder: Path) -> list[str]:
    """Return the files below a folder, relative to it; links and what they lead to are none."""
    files: list[str] = []
    for parent, _, names in os.walk(folder):
        below = Path(parent).relative_to(folder)
        files += [
            (below / name).as_posix()
            for name in names
            if is_regular(Path(parent, name))
        ]
    return sorted(files)


def remove_files(folder: Path, files: Collection[str]) -> bool:
    """Remove ``files``, given relative to a folder, and then the folders that are empty.

    Everything else stays, links too. Returns whether the folder is gone.
    """
    if not is_real_folder(folder):
        return not os.path.lexists(folder)
    known = set(files)
    for parent, _, names in os.walk(folder, topdown=False):
        below = Path(parent).relative_to(folder)
        for name in names:
            path = Path(parent, name)
            if (below / name).as_posix() in known and is_regular(path):
                path.unlink(missing_ok=True)
        if below == PurePath() or _holds_any(below, known):
            remove_empty(Path(parent))
    return not os.path.lexists(folder)


def remove_empty(folder: Path) -> bool:
    """Remove a folder unless it holds something; return whether it is gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _holds_any(folder: PurePath, files: Collection[str]) -> bool:
    prefix = f"{folder.as_posix()}/"
    return any(file.startswith(prefix) for file in files)


def is_regular(path: Path) -> bool:
    """Return whether a path names a file itself, and no link."""
    return _has_kind(path, stat.S_ISREG)


def is_real_folder(path: Path) -> bool:
    """Return whether a path names a folder itself, and no link."""
    return _has_kind(path, stat.S_ISDIR)


def _has_kind(path: Path, is_kind: Callable[[int], bool]) -> bool:
    try:
        return is_kind(path.lstat().st_mode)
    except (OSError, ValueError):
        return False
