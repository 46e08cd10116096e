"""Note beside a fetched set: where it has come from, its hashes, and what is in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from nd_plugin.borders.damage import damage_refused, refuse_newer
from nd_plugin.borders.json_values import object_of, parse_json, read_record
from nd_plugin.results.atomic_files import write_file

FORMAT = 1
LONGEST = 2**20  # bytes


@dataclass(frozen=True)
class Record:
    """What a set was made from."""

    set: str
    size: int
    address: str  # of the archive: a URL without its secrets, or a file
    sha256: str
    md5: str
    archive_bytes: int
    files: int
    unpacked_bytes: int
    images: int
    concepts: int
    checked: str  # hash that the archive was compared with, and whose; "" for none
    fetched: str  # ISO 8601, UTC

    def write(self, path: Path) -> None:
        """Write the note, whole or not at all. Raises NotSaved."""
        content = {"format": FORMAT, **asdict(self)}
        write_file(path, f"{json.dumps(content, indent=1)}\n".encode())


def read_note(path: Path) -> Record | None:
    """Return the record of a set; None where there is none. Raises RunInvalid for a damaged one."""
    remedy = "remove it; the next fetch writes it anew"
    with damage_refused(path, remedy):
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST)
        except FileNotFoundError:
            return None
        entries = dict(object_of(parse_json(content), "the note"))
        version = entries.pop("format", FORMAT)
        if not isinstance(version, int):
            raise ValueError("format is no integer")
        refuse_newer(path, version, FORMAT)
        return read_record(Record, entries, "the note")


def now() -> str:
    """Return the time, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
