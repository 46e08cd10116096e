"""Saved states: the files of a checkpoint or shard in a folder, found, loaded and removed.

::

    state.npz           description and provenance of the run; state as arrays (no pickles)
    0.maps, 1.maps, …   candidates of each layer, in the order of the layers; then of second passes
    0.values            instead of 0.maps if the disk had no room for maps
    lock                while a process works in the folder

``state.npz`` is replaced as a whole. Files of candidates only grow: bytes beyond the length that
``state.npz`` records are of an interrupted write, and are cut off when the run is resumed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nd_plugin.borders.archives import open_archive
from nd_plugin.borders.damage import damage_refused
from nd_plugin.borders.json_values import object_of, parse_json
from nd_plugin.engine.state import State
from nd_plugin.errors import BadInput, NotSaved, RunInvalid
from nd_plugin.results.folder_names import (
    LOCK_FILE,
    STATE,
    state_files,
)
from nd_plugin.resuming.state_arrays import pack, unpack
from nd_plugin.resuming.state_checks import (
    DescribedPart,
    check_state,
    map_check,
    read_description,
)
from nd_plugin.storage.durable_files import is_real_folder, remove_empty
from nd_plugin.storage.lock_file import alone, is_lock_file
from nd_plugin.storage.partial_folder import is_part_folder

FORMAT_VERSION = 4
REMEDY = "remove it, and start again"


class SavedState(NamedTuple):
    """State of a part of a run, and what is recorded of the run."""

    run_description: dict[str, Any]  # see `run_description.describe`
    run_provenance: dict[str, Any]  # fields of `Provenance`
    state: State


def has_state(folder: Path) -> bool:
    """Return whether a folder holds a saved state."""
    return (folder / STATE).is_file()


def folders_with_state(folders: Iterable[Path]) -> list[Path]:
    """Return those of ``folders`` that hold a saved state."""
    return [folder for folder in folders if has_state(folder)]


def remove_state_files(folder: Path) -> None:
    """Remove a saved state; files that are not of a state stay, and so does the lock."""
    for path in state_files(folder):
        path.unlink(missing_ok=True)


def is_ours(folder: Path) -> bool:
    """Return whether files with the names of a state's are ours, and not somebody's own.

    A lock of ours beside them says so, or the name of the folder, or what ``state.npz`` holds.
    """
    has_lock = is_lock_file(folder / LOCK_FILE)
    is_part = is_part_folder(folder)
    return has_lock or is_part or _has_metadata(folder / STATE)


def _has_metadata(path: Path) -> bool:
    """Return whether a file is an archive as `serialise` writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "metadata.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a run that has ended, as `remove_idle` does, if it is ours."""
    if is_real_folder(folder) and is_ours(folder):
        remove_idle(folder)


def remove_idle(folder: Path) -> None:
    """Remove a saved state, and the folder if nothing else is in it.

    One that a process works on stays, and so does one that cannot be locked.
    """
    with suppress(BadInput, NotSaved), alone(folder / LOCK_FILE):
        remove_state_files(folder)
    remove_empty(folder)


def serialise(
    run_description: Mapping[str, Any],
    run_provenance: Mapping[str, Any],
    state: State,
) -> bytes:
    """Return the content of ``state.npz``, for a state whose candidates are in their files."""
    packed, arrays = pack(state)
    metadata = {
        "format": FORMAT_VERSION,
        "described": dict(run_description),
        "made": dict(run_provenance),
        **packed,
    }
    metadata_bytes = np.frombuffer(json.dumps(metadata).encode(), dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, metadata=metadata_bytes, **arrays)
    return file.getvalue()


def load(folder: Path, device: torch.device, *, append: bool) -> SavedState:
    """Load a saved state, to ``append`` to it or only to read it.

    To append, files of candidates are cut to their recorded length. Raises RunInvalid for files
    that are damaged or cannot be read, and for other versions of the format.
    """
    name = f"the checkpoint in {folder}"
    with damage_refused(name, REMEDY):
        # Read at once: no file handle is open when a later checkpoint replaces the file.
        content = io.BytesIO((folder / STATE).read_bytes())
        with open_archive(content, folder / STATE) as arrays:
            metadata, part = _read_metadata(arrays, folder)
            state = unpack(metadata, arrays, folder, device)
        check_state(state, part)
        _open_candidates(state, part, append=append)
    return SavedState(metadata["described"], metadata["made"], state)


def read_run_description(folder: Path) -> dict[str, Any]:
    """Read what a saved state records of its run, and nothing else. Raises RunInvalid."""
    with (
        damage_refused(f"the checkpoint in {folder}", REMEDY),
        (folder / STATE).open("rb") as file,
        open_archive(file, folder / STATE) as arrays,
    ):
        metadata, _ = _read_metadata(arrays, folder)
        return dict(metadata["described"])


def _read_metadata(
    arrays: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], DescribedPart]:
    """Read the plain values of a state, and what they describe. Raises RunInvalid, ValueError."""
    metadata = object_of(parse_json(arrays["metadata"].tobytes()), "metadata")
    _check_format(folder, metadata["format"])
    return metadata, read_description(metadata["described"], metadata["made"])


def _open_candidates(state: State, part: DescribedPart, *, append: bool) -> None:
    """Open and verify the files of candidates; if one is damaged, close all."""
    checks = map_check(state, part)
    try:
        for candidates in state.files():
            candidates.reopen(append=append, check=checks[candidates])
    except BaseException:
        state.close()
        raise


def _check_format(folder: Path, version: Any) -> None:
    if version != FORMAT_VERSION:
        raise RunInvalid(
            f"{folder / STATE} has format {version}, but this nd_plugin reads {FORMAT_VERSION}; "
            "use the version of nd_plugin that wrote it"
        )
