"""Names of files and folders of a run, and which folders hold nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from nd_plugin.errors import RunInvalid
from nd_plugin.storage.durable_files import is_real_folder, is_regular

# LOCK_FILE is beside a state: held by the process that works in the folder
from nd_plugin.storage.lock_file import LOCK_FILE as LOCK_FILE
from nd_plugin.storage.lock_file import is_lock_file
from nd_plugin.storage.names import is_device, shortened

RUN = "run.json"
DISSECTION = "dissection.npz"
UNITS = "units.csv"
PICTURES = "pictures.npz"
STATE = "state.npz"  # of an unfinished run, or of a shard
# see `storage.drafts`, and earlier versions
STATE_DRAFT = re.compile(r"\.state\.npz\.[a-z0-9_]+(\.nd_draft)?")
CANDIDATE_FILE = re.compile(r"\d+\.(maps|values)")  # see `engine.candidates`

REPORT_PAGE = "index.html"
# in the head of that page
REPORT_MARK = b'<meta name="generator" content="nd_plugin'
REPORT_HEAD = 4096  # bytes in which the mark stands
# see `site.report_pages`, and `comparison.pages` for folders of runs and of concepts
REPORT_FILE = re.compile(
    r"(run-\d+/)?(index\.html|data|images|data/layer-[a-z0-9-]+\.js|images/\d+\.(jpg|png))"
    r"|run-\d+|concepts|concepts/\d+\.html"
)


def folder_of(layer: str) -> str:
    """Return a readable folder name for a layer: one level, and never outside the run.

    Of a long name it has the beginning and a checksum: file systems take 255 bytes.
    """
    safe = "".join(
        letter if letter.isalnum() or letter in "._-#[]+" else "_"
        for letter in layer
    )
    only_dots = not safe.strip(".")
    is_reserved = only_dots or is_device(safe) or safe.casefold() == RUN
    return shortened(f"_{safe}" if is_reserved else safe)


def only_layer_folder(folder: Path) -> Path:
    """Return the folder of a dissection: this one, or that of the only layer of a run.

    Raises RunInvalid for a run of several layers.
    """
    if (folder / DISSECTION).exists():
        return folder
    layers = sorted(file.parent for file in folder.glob(f"*/{DISSECTION}"))
    if len(layers) > 1:
        names = ", ".join(str(layer) for layer in layers)
        raise RunInvalid(f"{folder} holds several layers; load one of {names}")
    return layers[0] if layers else folder


def state_files(folder: Path) -> list[Path]:
    """Return the files of a state in a folder, drafts of interrupted writes included.

    The lock file is none of them.
    """
    return [path for path in folder.glob("*") if _is_state_file(path)]


def _is_state_file(path: Path) -> bool:
    if not is_regular(path):
        return False
    is_draft = STATE_DRAFT.fullmatch(path.name) is not None
    is_candidate_file = CANDIDATE_FILE.fullmatch(path.name) is not None
    return path.name == STATE or is_draft or is_candidate_file


def is_state_folder(folder: Path) -> bool:
    """Return whether a folder holds the state of a shard or an unfinished run, and nothing else."""
    if not (is_real_folder(folder) and is_regular(folder / STATE)):
        return False
    return all(
        _is_state_file(child) or _is_lock(child) for child in folder.iterdir()
    )


def _is_lock(path: Path) -> bool:
    return path.name == LOCK_FILE and is_lock_file(path)


def is_layer_folder(folder: Path) -> bool:
    """Return whether a folder is empty, a state's, or holds nothing but the result of one layer."""
    if is_state_folder(folder):
        return True
    children = list(folder.iterdir())
    names = {child.name for child in children}
    has_result = DISSECTION in names or not names
    is_ours = names <= {DISSECTION, UNITS, PICTURES}
    return has_result and is_ours and all(map(is_regular, children))


def is_run_folder(folder: Path) -> bool:
    """Return whether a folder is empty, or holds nothing but a run, a state or states."""
    if is_state_folder(folder):
        return True
    children = list(folder.iterdir())
    if not is_regular(folder / RUN):
        return all(map(is_state_folder, children))
    return all(
        is_layer_folder(child) if is_real_folder(child) else child.name == RUN
        for child in children
    )


def is_report_folder(folder: Path) -> bool:
    """Return whether a folder is empty, or holds nothing but a report in HTML."""
    if not any(folder.iterdir()):
        return True
    if not is_our_page(folder / REPORT_PAGE):
        return False
    paths = list(folder.rglob("*"))
    names = (path.relative_to(folder) for path in paths)
    are_ours = all(REPORT_FILE.fullmatch(name.as_posix()) for name in names)
    return are_ours and not any(path.is_symlink() for path in paths)


def is_our_page(page: Path) -> bool:
    """Return whether a file is a page of nd_plugin, as its head says."""
    return page.is_file() and REPORT_MARK in page.read_bytes()[:REPORT_HEAD]
