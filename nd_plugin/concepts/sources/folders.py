"""Folders that sources are opened from, and what is said of those that are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.storage.names import expanded_home

NAMES_LISTED = 6  # of files and folders, in a message


class OtherLayout(ConceptSetInvalid):
    """Folder that is not in a data set's layout: of a bare folder, the format is not this."""


def existing_root(argument: str, form: str, layout: str) -> Path:
    """Return the folder that a text such as ``voc:ROOT`` names.

    ``form`` is that text, ``layout`` says what the folder holds. Raises ConceptSetInvalid if there
    is no such folder.
    """
    folder = expanded_home(argument)
    if not argument or not folder.is_dir():
        problem = f"no folder {argument!r}" if argument else "no folder given"
        raise ConceptSetInvalid(
            f"{problem}; expected {form}, where ROOT is {layout}"
        )
    return folder


def missing_names(folder: Path, needed: Sequence[str]) -> list[str]:
    """Return those of the ``needed`` files and folders that a folder lacks."""
    return [name for name in needed if not (folder / name).exists()]


def check_layout(root: Path, needed: Sequence[str], layout: str) -> None:
    """Raise OtherLayout for a folder that lacks ``needed`` files or folders."""
    missing = missing_names(root, needed)
    if missing:
        raise OtherLayout(
            f"{root} has no {' and no '.join(missing)}; it holds {listed_entries(root)}; "
            f"expected {layout}"
        )


def inner_root(
    root: Path, needed: Sequence[str], names: Sequence[str]
) -> tuple[Path, list[str]]:
    """Return the folder that holds a data set, and a note where it is within ``root``.

    Archives unpack to a folder with a name of their own: where ``root`` lacks what is ``needed``
    and one of ``names`` below it has that, the first is meant.
    """
    if not missing_names(root, needed):
        return root, []
    for name in names:
        if not missing_names(root / name, needed):
            return root / name, [f"read from {name} in {root}"]
    return root, []


def names_in(folder: Path) -> list[str]:
    """Return the names of the files and folders in a folder, sorted.

    Raises ConceptSetInvalid for what cannot be listed, such as a file in a folder's place.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise ConceptSetInvalid(
            f"the folder {folder} cannot be listed: {error.strerror}"
        ) from error


def listed_entries(folder: Path) -> str:
    """Return the names of the first files and folders in a folder, for a message."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        return f"what cannot be listed ({error.strerror})"
    listed = ", ".join(names[:NAMES_LISTED]) or "nothing"
    beyond = " …" if len(names) > NAMES_LISTED else ""
    return f"{listed}{beyond}"
