"""Results of others, recognised by their content: tables of units, and the authors' summary.

::

    CSV with unit, category, label, score    NetDissect or NetDissect-Lite: units with their IoU
    CSV with layer, unit, description        CLIP-Dissect or MILAN: labels without IoU
    MATLAB 5 file with the struct stat       the authors' summary: counts of several networks
"""

from __future__ import annotations

import csv
from pathlib import Path

from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.report.foreign_tables.described_units import (
    DESCRIBED_COLUMNS,
    read_described_units,
)
from nd_plugin.report.foreign_tables.network_summary import read_network_summary
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.report.netdissect_csv import (
    COLUMNS,
    OWN_COLUMNS,
    read_netdissect_csv,
)

NETDISSECT_MIN_IOU = 0.04  # of detectors; NetDissect's tables do not record it
HEAD = 2**16  # bytes that tell what a file is
MATLAB_5 = b"MATLAB 5.0 MAT-file"
MATLAB_7_3 = b"MATLAB 7.3 MAT-file"
HDF5 = b"\x89HDF"
ZIP = b"PK\x03\x04"
LONGEST_LINE = 120  # characters of it in a message
ACCEPTED = (
    "a run's folder; a CSV table of NetDissect or NetDissect-Lite (columns unit, category, label, "
    "score), of CLIP-Dissect or MILAN (layer, unit, description); the authors' summary of networks "
    "(a MATLAB 5 file)"
)


def read_foreign_result(
    path: Path, min_iou: float | None = None
) -> list[LayerReport]:
    """Return the layers, or networks, of a file that others have written.

    Args:
        path: The file; its name says nothing.
        min_iou: IoU above which a unit is a detector; None: that of the file, else NetDissect's.

    Raises:
        RunInvalid: A file that cannot be read, is damaged, or of none of the known kinds.
        BadInput: A ``min_iou`` that a summary cannot be counted at.
    """
    head = _head(path)
    if head.startswith(MATLAB_5):
        return _summary_at(path, min_iou)
    _refuse_binary(path, head)
    line = _first_line(path, head)
    columns = _columns(line)
    if set(DESCRIBED_COLUMNS) <= columns:
        return read_described_units(path)
    is_own_table = columns >= OWN_COLUMNS  # refused there, with the remedy
    if columns >= set(COLUMNS) or is_own_table:
        limit = NETDISSECT_MIN_IOU if min_iou is None else min_iou
        return [read_netdissect_csv(path, limit)]
    raise RunInvalid(
        f"{path} is a text that begins with {_shortened(line)!r}; accepted are {ACCEPTED}"
    )


def _summary_at(path: Path, min_iou: float | None) -> list[LayerReport]:
    """Return the networks of a summary. Raises BadInput for another limit than its own."""
    reports = read_network_summary(path)
    limit = reports[0].min_iou
    if min_iou not in (None, limit):
        raise BadInput(
            f"{path} records counts at IoU > {limit:g} and no units, which cannot be counted at "
            f"{min_iou:g}; leave --min-iou out"
        )
    return reports


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except FileNotFoundError as error:
        raise RunInvalid(f"no run or file {str(path)!r}") from error
    except OSError as error:
        raise RunInvalid(
            f"{path} cannot be read: {error.strerror or error}"
        ) from error


def _refuse_binary(path: Path, head: bytes) -> None:
    """Raise RunInvalid for what is no text, with what it is where that is known."""
    if head.startswith((MATLAB_7_3, HDF5)):
        raise RunInvalid(
            f"{path} is a file of MATLAB 7.3 or HDF5; save it from MATLAB with -v7"
        )
    if head.startswith(ZIP):
        raise RunInvalid(
            f"{path} is a ZIP file, such as dissection.npz; give the folder of the run"
        )
    if b"\0" in head:
        raise RunInvalid(
            f"{path} is a binary file that begins with {head[:8]!r}; accepted are {ACCEPTED}"
        )
    if not head.strip():
        raise RunInvalid(f"{path} is empty; accepted are {ACCEPTED}")


def _first_line(path: Path, head: bytes) -> str:
    try:
        return head.split(b"\n", 1)[0].decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise RunInvalid(
            f"{path} is no text in UTF-8: {error}; accepted are {ACCEPTED}"
        ) from error


def _columns(line: str) -> set[str]:
    """Return the fields of the first line; none where it is no line of CSV."""
    try:
        return set(next(csv.reader([line]), []))
    except csv.Error:
        return set()


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"
