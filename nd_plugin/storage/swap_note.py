"""Note beside a folder that is replaced: what a process does, should it be killed.

It is locked by the process at work, and names the files that may be removed at the end: whatever
else lies in a folder by then is somebody's own.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nd_plugin.storage import lock_file
from nd_plugin.storage.drafts import DRAFT, is_draft_of
from nd_plugin.storage.durable_files import (
    is_regular,
    regular_files,
    sync_folder,
    write_through,
)
from nd_plugin.storage.names import shortened

NOTE = ".nd_swap"
OLD = ".nd_old"
KIND = "nd_plugin swap"
HEAD = b'{"kind": "nd_plugin swap"'  # with which each note begins
LONGEST_NOTE = 2**26  # bytes


@dataclass(frozen=True)
class Swap:
    """What the note of a swap says."""

    draft: Path
    files: tuple[str, ...]  # that may be removed, of the new folder and the old one
    # of a folder that was complete before: it is not lost, but gets the name
    complete: int | None = None  # its inode

    @property
    def old(self) -> Path:
        """Name of the replaced folder, where two steps are needed."""
        return self.draft.with_name(f"{self.draft.name.removesuffix(DRAFT)}{OLD}")

    def leftovers(self) -> list[Path]:
        """Return the files that are still to be removed."""
        return [
            folder / file
            for folder in (self.draft, self.old)
            for file in set(regular_files(folder)).intersection(self.files)
        ]

    def note(self) -> bytes:
        """Return the content of the note."""
        record = {"kind": KIND, "draft": self.draft.name}
        fields = {"complete": self.complete, "files": self.files}
        return json.dumps({**record, **fields}).encode()

    @classmethod
    def read(cls, content: bytes, target: Path) -> Swap | None:
        """Return what a note says; None where it was not written to its end."""
        try:
            record = json.loads(content)
            name = str(record["draft"])
            files = tuple(str(file) for file in record["files"])
            complete = record["complete"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        are_inside = all(_is_inside(PurePosixPath(file)) for file in files)
        is_draft = is_draft_of(name, target) and name.endswith(DRAFT)
        if not (is_draft and are_inside):
            return None
        inode = complete if isinstance(complete, int) else None
        return cls(target.with_name(name), files, inode)


def _is_inside(path: PurePosixPath) -> bool:
    return not path.is_absolute() and ".." not in path.parts


@dataclass
class Note:
    """Open note of a swap."""

    path: Path
    descriptor: int
    swap: Swap | None = None

    def hold(self) -> bool:
        """Lock the note; return False where another process holds it."""
        try:
            return lock_file.hold(self.descriptor)
        except OSError:  # a file system without locks
            return True

    def record(self, swap: Swap) -> None:
        """Write a swap through to the disk, before any step of it."""
        self.swap = swap
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        write_through(self.descriptor, swap.note())
        sync_folder(self.path.parent)

    def read(self, target: Path) -> Swap | None:
        """Return the swap of ``target`` that is recorded; None where nothing has happened yet."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        content = b""
        while chunk := os.read(self.descriptor, LONGEST_NOTE - len(content)):
            content += chunk
        self.swap = Swap.read(content, target)
        return self.swap

    def remove(self) -> None:
        """Remove the note and close it, unless files are left that it tells of."""
        is_done = self.swap is None or not self.swap.leftovers()
        try:
            if is_done and not lock_file.HAS_NO_LOCKS:
                # while it is held: nobody else's note is removed
                self.path.unlink(missing_ok=True)
        finally:
            self.close()
        if is_done and lock_file.HAS_NO_LOCKS:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the note, which releases its lock."""
        lock_file.release(self.descriptor)


def note_path(target: Path) -> Path:
    """Return the path of the note of a folder's swap."""
    return target.with_name(f".{shortened(target.name)}{NOTE}")


def is_note(path: Path) -> bool:
    """Return whether a file is a note that this process does not hold, or the beginning of one."""
    if not is_regular(path) or lock_file.is_held_here(path):
        return False
    try:
        with path.open("rb") as file:
            head = file.read(len(HEAD))
    except OSError:
        return False
    return HEAD.startswith(head)
