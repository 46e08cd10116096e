"""Files of candidates beside ``state.npz``: written before a state refers to them, and removed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nd_plugin.engine.state import State
from nd_plugin.results.folder_names import STATE, state_files
from nd_plugin.storage.durable_files import sync_folder
from nd_plugin.storage.lock_file import not_saved


def unwritten_bytes(state: State) -> int:
    """Return the bytes of all candidates that are not in a file yet."""
    return sum(
        candidates.nbytes + candidates.device_nbytes for candidates in state.files()
    )


def write_candidates(folder: Path, state: State) -> None:
    """Write candidates through to the disk, before a state refers to their places there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for candidates in state.files():
            candidates.write_all()
            if candidates.file is not None:
                os.fsync(candidates.file.fileno())
        sync_folder(folder)
    except OSError as error:
        raise not_saved(folder, error) from error


def remove_unused(folder: Path, state: State) -> None:
    """Remove files of earlier states, such as maps of a layer that has only values by now.

    A file that cannot be removed does no harm: no state refers to it.
    """
    used = {
        folder / STATE,
        *(candidates.path for candidates in state.files()),
    }
    for path in state_files(folder):
        if path not in used:
            with suppress(OSError):
                path.unlink()
