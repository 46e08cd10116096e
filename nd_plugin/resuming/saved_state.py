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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nd_plugin.engine.state import State
from nd_plugin.errors import RunInvalid
from nd_plugin.results.folder_names import STATE, state_files
from nd_plugin.resuming.state_arrays import pack, unpack

FORMAT_VERSION = 4


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
    with _errors_as_run_invalid(folder):
        # Read at once: no file handle is open when a later checkpoint replaces the file.
        content = io.BytesIO((folder / STATE).read_bytes())
        with np.load(content, allow_pickle=False) as arrays:
            metadata = json.loads(arrays["metadata"].tobytes().decode())
            _check_format(folder, metadata["format"])
            state = unpack(metadata, arrays, folder, device)
        _open_candidates(state, append=append)
    return SavedState(metadata["described"], metadata["made"], state)


def read_description(folder: Path) -> dict[str, Any]:
    """Read what a saved state records of its run, and nothing else. Raises RunInvalid."""
    with (
        _errors_as_run_invalid(folder),
        (folder / STATE).open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        metadata = json.loads(arrays["metadata"].tobytes().decode())
        _check_format(folder, metadata["format"])
        return dict(metadata["described"])


@contextmanager
def _errors_as_run_invalid(folder: Path) -> Iterator[None]:
    """Translate errors of files that are damaged or cannot be read; lack of memory is neither."""
    try:
        yield
    except (RunInvalid, MemoryError, torch.OutOfMemoryError):
        raise
    except OSError as error:
        raise RunInvalid(
            f"the checkpoint in {folder} cannot be read: {error}"
        ) from error
    except Exception as error:
        # errors of zip, npy and JSON have no common base class
        raise RunInvalid(
            f"the checkpoint in {folder} is damaged: {type(error).__name__}: {error}"
        ) from error


def _open_candidates(state: State, *, append: bool) -> None:
    """Open and verify the files of candidates; if one is damaged, close all."""
    try:
        for candidates in state.files():
            candidates.reopen(append=append)
    except BaseException:
        state.close()
        raise


def _check_format(folder: Path, version: Any) -> None:
    if version != FORMAT_VERSION:
        raise RunInvalid(
            f"{folder / STATE} has format {version}, but this nd_plugin reads {FORMAT_VERSION}; "
            "use the version of nd_plugin that wrote it"
        )
