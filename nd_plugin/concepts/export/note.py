"""Note in an exported folder: where it comes from, and how its masks are compared.

Neither Broden's layout nor the masks format says whether masks are compared at their own size, as
Broden's are, or at half the model's input. ``export.json`` does, so that a dissection of the folder
is that of the set it comes from.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nd_plugin.borders.json_values import object_of, parse_json
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.opening import check_regular

NOTE = "export.json"
KIND = "nd_plugin concepts"
LONGEST = 2**20  # bytes


@dataclass(frozen=True)
class ExportNote:
    """Content of the note."""

    format: str  # broden or masks
    native_masks: bool
    # of the set that was exported, as `Identity` has them
    name: str
    source: str
    version: str
    fingerprint: str

    def content(self) -> bytes:
        """Return the content of the file."""
        record = {"kind": KIND, **asdict(self)}
        return f"{json.dumps(record, indent=1)}\n".encode()


def native_masks_of(folder: Path, default: bool) -> bool:
    """Return whether an exported folder's masks are compared at their own size.

    ``default`` where there is no note, or one of something else. Raises ConceptSetInvalid for a
    note that does not say it.
    """
    record = _read(folder / NOTE)
    if record.get("kind") != KIND:
        return default
    native_masks = record.get("native_masks")
    if not isinstance(native_masks, bool):
        raise ConceptSetInvalid(
            f"{folder / NOTE}: native_masks is {native_masks!r}; expected true (masks are compared "
            "at their own size) or false (at half the model's input)"
        )
    return native_masks


def is_export(folder: Path) -> bool:
    """Return whether a folder is one that was exported, or an empty one."""
    if not any(folder.iterdir()):
        return True
    return _read(folder / NOTE).get("kind") == KIND


def _read(path: Path) -> dict[str, Any]:
    """Return the note; an empty one where there is none, or a file of something else."""
    try:
        check_regular(path)
        if path.stat().st_size > LONGEST:
            return {}
        return object_of(parse_json(path.read_bytes()), NOTE)
    except (OSError, ValueError):
        return {}
