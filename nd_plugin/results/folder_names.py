"""Names of files and folders of a run, and which folders hold nothing else."""

from __future__ import annotations

from pathlib import Path

RUN = "run.json"
DISSECTION = "dissection.npz"
UNITS = "units.csv"
STATE = "state.npz"  # of an unfinished run, or of a shard
STATE_SUFFIXES = (
    ".npz",
    ".maps",
    ".values",
)  # files beside a state: candidates on the disk


def folder_of(layer: str) -> str:
    """Return a readable folder name for a layer: one level, and never outside the run."""
    safe = "".join(
        letter if letter.isalnum() or letter in "._-#[]+" else "_" for letter in layer
    )
    only_dots = not safe.strip(".")
    return f"_{safe}" if only_dots else safe


def is_state_folder(folder: Path) -> bool:
    """Return whether a folder holds the state of a shard or an unfinished run, and nothing else."""
    if not (folder / STATE).is_file():
        return False
    return all(
        child.is_file() and child.suffix in STATE_SUFFIXES for child in folder.iterdir()
    )


def is_layer_folder(folder: Path) -> bool:
    """Return whether a folder is empty, a state's, or holds nothing but the result of one layer."""
    names = {child.name for child in folder.iterdir()}
    return names <= {DISSECTION, UNITS} or is_state_folder(folder)


def is_run_folder(folder: Path) -> bool:
    """Return whether a folder is empty, a state's, or holds nothing but a run."""
    if is_state_folder(folder):
        return True
    return all(
        is_layer_folder(child) if child.is_dir() else child.name == RUN
        for child in folder.iterdir()
    )
