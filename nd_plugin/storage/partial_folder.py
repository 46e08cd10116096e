"""Checkpoints beside a run: their folders, and whether a process is at work on them.

::

    runs/net-shapes.partial            of all processes of a run, while they run
    runs/net-shapes.partial/2-of-4     of one process, with its lock
"""

from __future__ import annotations

import re
from pathlib import Path

from nd_plugin.errors import BadInput
from nd_plugin.storage.durable_files import is_real_folder
from nd_plugin.storage.lock_file import LOCK_FILE, live_holder

PARTIAL_SUFFIX = ".partial"
PART_FOLDER = re.compile(r"\d+-of-\d+")


def partial_folder(output: Path) -> Path:
    """Return the folder of the checkpoints of all processes."""
    return Path(f"{output}{PARTIAL_SUFFIX}")


def is_part_folder(folder: Path) -> bool:
    """Return whether a folder has the name of the checkpoint of one process of a run."""
    is_part = PART_FOLDER.fullmatch(folder.name) is not None
    return is_part and folder.parent.name.endswith(PARTIAL_SUFFIX)


def part_folders(output: Path) -> list[Path]:
    """Return the folders of the checkpoints of a run's processes."""
    folders = sorted(partial_folder(output).glob("*"))
    return [
        folder
        for folder in folders
        if is_part_folder(folder) and is_real_folder(folder)
    ]


def check_not_live(output: Path) -> None:
    """Raise BadInput where a process is working on a run in ``output``, which it names."""
    for folder in part_folders(output):
        holder = live_holder(folder / LOCK_FILE)
        if holder is not None:
            name = f", {holder}" if holder.process else ""
            raise BadInput(
                f"{output} is being made by a live process{name}: wait for it, stop it, or "
                "choose another folder"
            )
