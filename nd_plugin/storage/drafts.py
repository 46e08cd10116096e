"""Drafts: files and folders under a name beside their own, until they are complete.

::

    .units.csv.1f3a9c04.nd_draft   beside units.csv: a file, locked by the process that writes it
    .run.1f3a9c04.nd_draft         beside run: a new folder; then the one that it has replaced
    .run.1f3a9c04.nd_old           the replaced folder, where two cannot be exchanged in one step
    .run.nd_swap                   says what these folders hold; see `folder_swap`
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nd_plugin.storage import lock_file
from nd_plugin.storage.durable_files import (
    NEW_FILE,
    is_regular,
    sync_folder,
    write_through,
)
from nd_plugin.storage.names import shortened

DRAFT = ".nd_draft"
NUMBER = "[0-9a-f]{8}"


def draft_path(path: Path) -> Path:
    """Return a new name for a draft of the file or folder at ``path``."""
    return path.with_name(f".{shortened(path.name)}.{os.urandom(4).hex()}{DRAFT}")


def is_draft_of(name: str, path: Path) -> bool:
    """Return whether a file beside ``path`` has the name of a draft of it."""
    beginning = re.escape(f".{shortened(path.name)}.")
    # SQLite has a file beside its own while it writes
    pattern = rf"{beginning}{NUMBER}{re.escape(DRAFT)}(-journal)?"
    return re.fullmatch(pattern, name) is not None


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole, and only then give it the name of the one at ``path``. Raises OSError.

    Drafts of processes that were killed are removed.
    """
    if not path.name:  # "/" and "."
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    remove_dead_drafts(path)
    draft = draft_path(path)
    try:
        with _locked_draft(draft) as descriptor:
            write_through(descriptor, content)
            if not lock_file.HAS_NO_LOCKS:
                draft.replace(path)
        if lock_file.HAS_NO_LOCKS:
            draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def _locked_draft(draft: Path) -> Iterator[int]:
    """Open a new draft, locked where the file system has locks: its process is alive."""
    descriptor = os.open(draft, NEW_FILE, 0o666)
    try:
        with suppress(OSError):
            lock_file.hold(descriptor)
        yield descriptor
    finally:
        lock_file.release(descriptor)


def name_new_file(draft: Path, path: Path) -> None:
    """Give a complete draft its name. Raises FileExistsError where it is taken, OSError."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise
        draft.rename(path)
    sync_folder(path.parent)


def remove_dead_drafts(path: Path) -> None:
    """Remove the drafts of the file at ``path`` that no process writes any more."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if is_draft_of(entry.name, path)]
        for name in names:
            _remove_if_dead(path.with_name(name))


def _remove_if_dead(draft: Path) -> None:
    """Remove a draft unless a process holds it, or its file system cannot tell."""
    if not is_regular(draft) or lock_file.is_held_here(draft):
        return
    descriptor = os.open(draft, lock_file.OPEN)
    try:
        if lock_file.hold(descriptor) and lock_file.has_name(descriptor, draft):
            draft.unlink()
    finally:
        lock_file.release(descriptor)
