"""Folders of finished unions: which may be replaced, and by what."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from nd_plugin.concepts.union.passes.workspace import Workspace
from nd_plugin.concepts.union.report import FILE, read_report
from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.storage.durable_files import is_regular, regular_files

TABLE = re.compile(
    r"(index|label|category|union)\.csv|c_[^/]+\.csv|README\.txt|union\.json"
)
INDEX = "index.csv"


def check_output(
    output: Path, workspace: Workspace, resume: bool, overwrite: bool
) -> None:
    """Raise BadInput where a set may not be written, before the work."""
    if output.exists() and any(output.iterdir()):
        if not overwrite:
            raise BadInput(
                f"{output} exists already; replace it with --overwrite, or choose another folder"
            )
        if not is_union_folder(output):
            raise BadInput(
                f"{output} holds something other than a set that nd concepts build has written; "
                "choose another folder"
            )
    if workspace.is_begun() and not (resume or overwrite):
        raise BadInput(
            f"{workspace.folder} holds an interrupted build: continue it with --resume, or discard "
            "it with --overwrite"
        )


def is_union_folder(folder: Path) -> bool:
    """Return whether a folder is empty, or holds nothing but a set that was built here."""
    if not any(folder.iterdir()):
        return True
    if not (is_regular(folder / FILE) and is_regular(folder / INDEX)):
        return False
    try:
        read_report(folder)
        listed = _listed_files(folder / INDEX)
    except (RunInvalid, OSError, ValueError, csv.Error):
        return False
    files = regular_files(folder)
    are_known = all(TABLE.fullmatch(name) or name in listed for name in files)
    return are_known and not any(path.is_symlink() for path in folder.rglob("*"))


def _listed_files(index: Path) -> set[str]:
    """Return the images and masks that an index lists, relative to the set."""
    with index.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    cells = [cell for row in rows for cell in row]
    return {f"images/{entry}" for cell in cells for entry in cell.split(";")}
