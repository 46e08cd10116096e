"""Part of a file that has arrived, and what its server said of the whole.

A note beside the part names the address, and the version of the file there: a rest is fetched for
this version only. The part is emptied before its note changes, so that a killed process never
leaves bytes of one version under the note of another.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from nd_plugin.borders.json_values import parse_json, read_record
from nd_plugin.concepts.fetch.transfer.answers import Answer, without_secrets
from nd_plugin.results.atomic_files import write_file
from nd_plugin.storage.durable_files import NEW_FILE, is_regular, sync_folder
from nd_plugin.storage.lock_file import not_saved

APPEND = (
    os.O_WRONLY
    | os.O_APPEND
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True)
class Version:
    """Version of a file on a server."""

    url: str  # without secrets
    total: int | None  # bytes
    etag: str
    last_modified: str

    @classmethod
    def of(cls, url: str, answer: Answer) -> Version:
        """Return the version that an answer sends."""
        return cls(
            without_secrets(url), answer.total, answer.etag, answer.last_modified
        )

    @property
    def validator(self) -> str:
        """Value of If-Range, by which a server knows the version; "" for none."""
        return self.etag or self.last_modified

    def allows(self, answer: Answer) -> bool:
        """Return whether the rest that an answer sends may be of this version."""
        return all(
            not known or not said or known == said
            for known, said in (
                (self.etag, answer.etag),
                (self.last_modified, answer.last_modified),
                (self.total, answer.total),
            )
        )


class PartialFile:
    """Part of the file at one address, in a folder that this process has locked."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        digest = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()
        self.path: Path = folder / f"download-{digest[:8]}.part"
        self._note = self.path.with_suffix(".json")

    def size(self) -> int:
        """Return the bytes that are here."""
        return self.path.stat().st_size if is_regular(self.path) else 0

    def version(self) -> Version | None:
        """Return the version of the part; None where a rest cannot be told to belong to it."""
        if not self.size():
            return None
        try:
            document = parse_json(self._note.read_bytes())
            version = read_record(Version, document, "the note")
        except (OSError, ValueError):
            return None
        is_known = bool(version.validator) or version.total is not None
        is_same_address = version.url == without_secrets(self.url)
        return version if is_known and is_same_address else None

    def begin(self, version: Version) -> None:
        """Forget what is here; the first byte of a version comes next. Raises NotSaved."""
        self.discard()
        try:
            os.close(os.open(self.path, NEW_FILE, 0o666))
        except OSError as error:
            raise not_saved(self.path, error) from error
        write_file(self._note, json.dumps(asdict(version)).encode())

    def append(self, content: bytes) -> None:
        """Add bytes. Raises NotSaved."""
        with self._open() as descriptor:
            unwritten = memoryview(content)
            while unwritten:
                written = os.write(descriptor, unwritten)
                unwritten = unwritten[written:]

    def discard(self) -> None:
        """Remove the part and its note. Raises NotSaved."""
        try:
            self.path.unlink(missing_ok=True)
            self._note.unlink(missing_ok=True)
        except OSError as error:
            raise not_saved(self.path, error) from error

    def complete(self, target: Path) -> None:
        """Give the part, which is the whole file now, its name. Raises NotSaved."""
        with self._open() as descriptor:
            os.fsync(descriptor)
        try:
            self.path.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            raise not_saved(target, error) from error
        with suppress(OSError):
            self._note.unlink(missing_ok=True)

    @contextmanager
    def _open(self) -> Iterator[int]:
        try:
            descriptor = os.open(self.path, APPEND)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise not_saved(self.path, error) from error
