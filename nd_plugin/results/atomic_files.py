"""Files and folders that are written whole or not at all, at whatever moment a process is killed.

A file is written under another name, through to the disk, and renamed. A folder is exchanged with
the one that it replaces (see `storage.folder_swap`), so that at every moment one of the two has
the name; `recovered` ends what a killed process has left.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from nd_plugin.errors import NotSaved
from nd_plugin.storage import folder_swap
from nd_plugin.storage.drafts import replace_file
from nd_plugin.storage.lock_file import alone as alone
from nd_plugin.storage.lock_file import not_saved
from nd_plugin.storage.names import check_path


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole, or leave the file that is at ``path``.

    A device or a pipe is written to as it is. Raises NotSaved, and BadInput for no name of a file.
    """
    check_path(path)
    try:
        if _is_special(path):
            with path.open("wb") as file:
                file.write(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise not_saved(path, error) from error


def write_folder(
    folder: Path, files: Mapping[str, bytes], *, may_replace: Callable[[Path], bool]
) -> Path:
    """Write a folder of files under a temporary name and give it the name of the one before.

    Names of files may hold ``/``. An existing folder is replaced as a whole, only when the new
    one is complete, and only if ``may_replace`` returns True for it. Raises NotSaved, and BadInput
    where another process writes the folder.
    """
    try:
        folder_swap.write_folder(_resolved(folder), files, may_replace)
    except OSError as error:
        raise not_saved(folder, error) from error
    return folder


def move_folder(
    source: Path, target: Path, *, may_replace: Callable[[Path], bool]
) -> None:
    """Move a complete folder to ``target``, as `write_folder` writes one. Raises NotSaved."""
    try:
        folder_swap.move_folder(source.resolve(), _resolved(target), may_replace)
    except OSError as error:
        raise NotSaved(
            f"{target} cannot be written: {error.strerror or error}; it is saved in {source}"
        ) from error


def recovered(folder: Path) -> Path:
    """Return a folder after what a killed process has left beside it is ended. Raises NotSaved."""
    try:
        folder_swap.recover(folder.resolve())
    except OSError as error:
        raise not_saved(folder, error) from error
    except (RuntimeError, ValueError):  # a loop of links, or no name at all
        pass
    return folder


def _resolved(folder: Path) -> Path:
    """Return the path of a folder without links. Raises BadInput, and OSError for a loop."""
    check_path(folder)
    try:
        target = folder.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
    if not target.name:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    return target


def _is_special(path: Path) -> bool:
    """Return whether a path leads to a device or a pipe, which has no other content."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
