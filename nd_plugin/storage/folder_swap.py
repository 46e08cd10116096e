"""Folders that are replaced as a whole: at every moment the old one or the new one has the name.

A note beside the folder says what is going on, and is locked meanwhile. The steps:

1. the note ``.run.nd_swap`` names the draft, and the files that may be removed at the end
2. the new folder is written as a draft, each file through to the disk
3. the draft and the old folder are exchanged in one step of the system
4. the old folder, which has the draft's name now, is removed file by file; then the note

Where the system cannot exchange folders, step 3 is two: the old folder gets the name ``….nd_old``,
and the draft the name of the folder. A process that is killed leaves the note. `recover` then ends
what can be ended: between the two steps the new folder is complete, and gets the name.
"""

from __future__ import annotations

import errno
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from nd_plugin.errors import BadInput
from nd_plugin.storage import lock_file
from nd_plugin.storage.drafts import draft_path
from nd_plugin.storage.durable_files import (
    create_file,
    is_real_folder,
    regular_files,
    remove_files,
    sync_folder,
)
from nd_plugin.storage.exchange import exchange
from nd_plugin.storage.swap_note import Note, Swap, is_note, note_path

PATIENCE = 2.0  # seconds that a reader waits for a folder between two steps
MayReplace = Callable[[Path], bool]


def write_folder(
    target: Path, files: Mapping[str, bytes], may_replace: MayReplace
) -> None:
    """Write a folder of files, whose names may hold ``/``, in the place of an earlier one.

    Raises FileExistsError for one that ``may_replace`` does not allow, BadInput where another
    process writes it, OSError.
    """
    with _noted(target) as note:
        old_files = _replaceable_files(target, may_replace)
        swap = Swap(draft_path(target), (*files, *old_files))
        note.record(swap)
        try:
            _write_draft(swap.draft, files)
            _place(swap, target)
        finally:
            _settle(swap, target)


def move_folder(source: Path, target: Path, may_replace: MayReplace) -> None:
    """Move a complete folder into the place of an earlier one; errors as of `write_folder`."""
    with _noted(target) as note:
        old_files = _replaceable_files(target, may_replace)
        if not os.path.lexists(target):
            source.rename(target)
            sync_folder(target.parent)
            return
        swap = Swap(draft_path(target), old_files, source.lstat().st_ino)
        note.record(swap)
        source.rename(swap.draft)
        try:
            _place(swap, target)
        except OSError:
            swap.draft.rename(source)
            raise
        finally:
            _settle(swap, target)


def recover(target: Path) -> None:
    """End what a killed process has left beside a folder, if any; never while another writes it.

    Raises OSError where the folder has no name now, and cannot be given it.
    """
    path = note_path(target)
    if not is_note(path):
        return
    deadline = time.monotonic() + PATIENCE
    while not _recover_unless_locked(path, target):
        if os.path.lexists(target) or time.monotonic() > deadline:
            return
        time.sleep(PATIENCE / 100)


def _recover_unless_locked(path: Path, target: Path) -> bool:
    """End an interrupted swap; return False where the process that does it is at work."""
    try:
        descriptor = os.open(path, lock_file.OPEN)
    except FileNotFoundError:
        return True
    except OSError:  # a folder that can only be read
        if os.path.lexists(target):
            return True
        raise
    note = Note(path, descriptor)
    try:
        is_held = note.hold()
        is_current = is_held and lock_file.has_name(descriptor, path)
        if is_current:
            _finish(note, target)
    except BaseException:
        note.close()
        raise
    if not is_current:
        note.close()
        return is_held
    with suppress(OSError):  # a folder that can only be read
        note.remove()
    return True


@contextmanager
def _noted(target: Path) -> Iterator[Note]:
    """Hold the note of a folder, after what another process has left is ended."""
    target.parent.mkdir(parents=True, exist_ok=True)
    note = _open_note(target)
    try:
        _finish(note, target)
    except BaseException:
        note.close()
        raise
    try:
        yield note
    finally:
        note.remove()


def _open_note(target: Path) -> Note:
    """Open and lock the note of a folder; wait a little for a reader that has just ended a swap."""
    path = note_path(target)
    deadline = time.monotonic() + PATIENCE
    while not os.path.lexists(path) or is_note(path):
        descriptor = os.open(path, lock_file.OPEN | os.O_CREAT, 0o666)
        note = Note(path, descriptor)
        if note.hold() and lock_file.has_name(descriptor, path):
            return note
        note.close()
        if time.monotonic() > deadline:
            break
        time.sleep(PATIENCE / 100)
    raise BadInput(
        f"another process is writing {target}: wait for it, or stop it (if there is none, "
        f"remove {path})"
    )


def _finish(note: Note, target: Path) -> None:
    """End the swap that another process has begun, if any."""
    swap = note.read(target)
    if swap is not None:
        _settle(swap, target)


def _replaceable_files(target: Path, may_replace: MayReplace) -> tuple[str, ...]:
    """Return the files of a folder that may be replaced. Raises FileExistsError for others."""
    if not os.path.lexists(target):
        return ()
    if not (is_real_folder(target) and may_replace(target)):
        raise FileExistsError(
            errno.EEXIST, "it holds something other than such a result"
        )
    return tuple(regular_files(target))


def _write_draft(draft: Path, files: Mapping[str, bytes]) -> None:
    """Write all files, and the names in all folders, through to the disk."""
    draft.mkdir()
    folders = {draft: None}
    for name, content in files.items():
        path = draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders[path.parent] = None
        create_file(path, content)
    for folder in reversed(folders):
        sync_folder(folder)


def _place(swap: Swap, target: Path) -> None:
    """Give the complete draft the name of the folder; the replaced one has another then."""
    if not os.path.lexists(target):
        swap.draft.rename(target)
    elif not exchange(swap.draft, target):
        target.rename(swap.old)
        try:
            swap.draft.rename(target)
        except OSError:
            swap.old.rename(target)
            raise
    sync_folder(target.parent)


def _settle(swap: Swap, target: Path) -> None:
    """End a swap wherever it stands: no folder is removed before the target has its name."""
    has_draft = is_real_folder(swap.draft)
    if is_real_folder(swap.old) and not os.path.lexists(target):
        # the old folder has given way to a complete draft
        (swap.draft if has_draft else swap.old).rename(target)
    elif has_draft and swap.draft.lstat().st_ino == swap.complete:
        _place(swap, target)
    for folder in (swap.draft, swap.old):
        with suppress(OSError):
            remove_files(folder, swap.files)
        if os.path.lexists(folder) and not swap.leftovers():
            warnings.warn(
                f"{folder} holds files that are not of the folder that was replaced; "
                "they are left there",
                RuntimeWarning,
                stacklevel=2,
            )
