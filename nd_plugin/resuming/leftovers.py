"""Checkpoints that a finished run has left beside it: removed file by file, and only its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nd_plugin.errors import BadInput, NotSaved, RunInvalid
from nd_plugin.results.atomic_files import alone
from nd_plugin.results.folder_names import LOCK_FILE
from nd_plugin.resuming.same_run import check_same_run
from nd_plugin.resuming.saved_state import (
    has_state,
    read_description,
    remove_state_files,
)


def remove_leftovers(
    partial: Path, run_description: Mapping[str, Any]
) -> list[Path]:
    """Remove the checkpoints of a finished run below ``partial``; return what is left there.

    The process that saved the run may have been interrupted before it removed them. What belongs to
    another run, is no file of a checkpoint, or is in use stays.
    """
    if not partial.is_dir():
        return []
    for folder in _folders(partial):
        if _is_of_run(folder, run_description):
            remove_checkpoint(folder)
    with suppress(OSError):  # not empty
        partial.rmdir()
    return sorted(partial.iterdir()) if partial.is_dir() else []


def remove_checkpoint(folder: Path) -> None:
    """Remove the files of a checkpoint, and the folder if nothing else is in it.

    One that another process works on is left to that process.
    """
    with suppress(BadInput, NotSaved), alone(folder / LOCK_FILE):
        remove_state_files(folder)
    with suppress(OSError):  # not empty
        folder.rmdir()


def _folders(partial: Path) -> list[Path]:
    """Return the folders in a folder; a link to one elsewhere is none."""
    return [
        path
        for path in partial.iterdir()
        if path.is_dir() and not path.is_symlink()
    ]


def _is_of_run(folder: Path, run_description: Mapping[str, Any]) -> bool:
    """Return whether a folder holds a checkpoint of a run, or what is left of removing one."""
    if not has_state(folder):
        return True
    try:
        stored = read_description(folder)
        check_same_run(stored, run_description, str(folder), ignored=["shard"])
    except (BadInput, RunInvalid):
        return False
    return True
