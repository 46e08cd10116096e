"""Files and folders of results, checked before the work that leads to them."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from nd_plugin.errors import BadInput, NotSaved
from nd_plugin.storage.names import check_path, nearest_folder


def check_file(path: Path) -> None:
    """Check that a file can be written. Raises BadInput for what is no file, NotSaved."""
    check_path(path)
    status = _status(path)
    if status is None:
        _check_parent(path)
    elif stat.S_ISDIR(status.st_mode):
        raise BadInput(f"{path} is a folder; name a file, in it or elsewhere")
    elif stat.S_ISREG(status.st_mode):
        _check_parent(path)
    elif not os.access(path, os.W_OK):
        raise NotSaved(f"{path} cannot be written: choose another place")


def check_folder(folder: Path, kind: str, suffix: str = "") -> None:
    """Check that a folder can be written; ``kind`` is what it will be: "a run".

    ``suffix`` is what a folder beside it has added to its name. Raises BadInput for a file, a link
    that leads nowhere, and a name that is too long; NotSaved.
    """
    check_path(folder, suffix)
    status = _status(folder)
    if status is not None and not stat.S_ISDIR(status.st_mode):
        raise BadInput(f"{folder} is a file; {kind} is a folder")
    if folder.resolve() == Path.cwd():
        raise BadInput(
            f"{folder} is the current folder, which cannot be replaced; name one below it"
        )
    _check_parent(folder.resolve())
    if suffix:
        beside = Path(f"{folder}{suffix}")
        status = _status(beside)
        if status is not None and not stat.S_ISDIR(status.st_mode):
            raise BadInput(
                f"{beside} is a file, where the checkpoints of {folder} belong; move it away"
            )


def _status(path: Path) -> os.stat_result | None:
    """Return what a path leads to; None for nothing. Raises BadInput for a link to nothing."""
    try:
        return path.stat()
    except FileNotFoundError as error:
        if not path.is_symlink():
            return None
        raise BadInput(
            f"{path} is a link to {path.readlink()}, which does not exist; remove the link, or "
            "create what it leads to"
        ) from error
    except NotADirectoryError as error:
        raise NotSaved(
            f"{path} cannot be written: {_file_among(path)} is a file, not a folder"
        ) from error
    except OSError as error:  # a loop of links, a folder that may not be read
        raise NotSaved(
            f"{path} cannot be written: {error.strerror or error}; choose another place"
        ) from error


def _file_among(path: Path) -> Path:
    """Return the parent of a path that is no folder."""
    return next(
        (parent for parent in path.parents if parent.is_file()), path.parent
    )


def _check_parent(path: Path) -> None:
    """Raise NotSaved where nothing can be written beside ``path``."""
    parent = nearest_folder(path)
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        reason = error.strerror or error
        raise NotSaved(
            f"{path} cannot be written: {reason} in {parent}; choose another place"
        ) from error
