"""Checkpoints that a finished run has left beside it: removed file by file, and only its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.resuming.run_identity.same_run import check_same_run
from nd_plugin.resuming.saved_state import (
    has_state,
    read_run_description,
    remove_checkpoint,
)
from nd_plugin.storage.durable_files import is_real_folder, remove_empty
from nd_plugin.storage.partial_folder import part_folders, partial_folder


def remove_leftovers(
    output: Path, run_description: Mapping[str, Any]
) -> list[Path]:
    """Remove the checkpoints beside the finished run in ``output``; return what is left with them.

    The process that saved the run may have been interrupted before it removed them. What belongs to
    another run, is no file of a checkpoint, or is in use stays.
    """
    partial = partial_folder(output)
    if not is_real_folder(partial):
        return []
    for folder in part_folders(output):
        if _is_of_run(folder, run_description):
            remove_checkpoint(folder)
    if remove_empty(partial):
        return []
    return sorted(partial.iterdir())


def _is_of_run(folder: Path, run_description: Mapping[str, Any]) -> bool:
    """Return whether a folder holds a checkpoint of a run, or what is left of removing one."""
    if not has_state(folder):
        return True
    try:
        stored = read_run_description(folder)
        check_same_run(stored, run_description, str(folder), ignored=["shard"])
    except (BadInput, RunInvalid):
        return False
    return True
