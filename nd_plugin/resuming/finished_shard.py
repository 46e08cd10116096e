"""Finished shards: the state of a part, moved from its checkpoint's folder to its own."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nd_plugin.results.atomic_files import move_folder
from nd_plugin.results.folder_names import LOCK_FILE, is_run_folder


def hand_over(folder: Path, target: Path, *, overwrite: bool) -> None:
    """Move a state to the folder of its shard, and then remove the lock that is held up to here.

    A shard or a run that is there already is replaced in one step, where ``overwrite`` allows it;
    nothing else is. Raises NotSaved.
    """
    if target.resolve() == folder.resolve():
        return
    move_folder(
        folder,
        target,
        may_replace=lambda path: _may_replace(path, overwrite=overwrite),
    )
    with suppress(OSError):
        (target / LOCK_FILE).unlink()


def _may_replace(folder: Path, *, overwrite: bool) -> bool:
    is_empty = not any(folder.iterdir())
    return is_empty or (overwrite and is_run_folder(folder))
