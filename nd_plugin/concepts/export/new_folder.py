"""Folder of an export: written beside its place, and given its name when it is complete.

::

    .street.nd_export    beside street, while it is written; with a lock of its process
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nd_plugin.concepts.export.note import is_export
from nd_plugin.errors import BadInput
from nd_plugin.results.atomic_files import alone, move_folder, recovered
from nd_plugin.storage.durable_files import is_real_folder, sync_all
from nd_plugin.storage.lock_file import LOCK_FILE, is_lock_file, not_saved
from nd_plugin.storage.names import shortened
from nd_plugin.storage.targets import check_folder

DRAFT = ".nd_export"
KIND = "a concept set"


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse the folder of an export that holds something, before anything is read.

    With ``overwrite`` an earlier export may be there. Raises BadInput, NotSaved.
    """
    check_folder(folder, KIND, DRAFT)
    recovered(folder)
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not is_export(folder):
        raise BadInput(
            f"{folder} holds other things than an exported concept set, and is not overwritten; "
            "choose another folder"
        )
    if not overwrite:
        raise BadInput(
            f"{folder} exists already; choose another folder, or replace it with --overwrite"
        )


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder to write into, which becomes ``target`` when the block ends.

    However the block fails, the folder is removed; what a killed process has left is removed by the
    next export to the same place. Raises BadInput where another process writes it, NotSaved.
    """
    place = target.resolve()
    draft = place.with_name(f".{shortened(place.name)}{DRAFT}")
    try:
        _check_is_ours(draft)
        with alone(draft / LOCK_FILE), _removed_on_failure(draft):
            _empty(draft)
            yield draft
            # files of images are many, and not written through one by one
            sync_all()
        with _removed_on_failure(draft):
            move_folder(draft, place, may_replace=is_export)
    except OSError as error:
        raise not_saved(target, error) from error


@contextmanager
def _removed_on_failure(draft: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _check_is_ours(draft: Path) -> None:
    """Raise BadInput for a folder of that name that no export has begun."""
    if not draft.exists() and not draft.is_symlink():
        return
    is_folder = is_real_folder(draft)
    if is_folder and (is_lock_file(draft / LOCK_FILE) or is_export(draft)):
        return
    raise BadInput(
        f"{draft} is in the way of the export: it holds something else; move it away"
    )


def _empty(draft: Path) -> None:
    """Remove everything but the lock."""
    for path in draft.iterdir():
        if path.name == LOCK_FILE:
            continue
        if is_real_folder(path):
            shutil.rmtree(path)
        else:
            path.unlink()
