"""Folder of a build while it runs, beside the set that it makes.

::

    street              the set: it gets its name when it is whole
    street.partial/     lock, build.json   what is built, of what, with which settings
                        survey/000012.json labels of 32 images each, counted
                        rows/000012.json   rows of the images that are written
                        set/               the set that grows

A chunk's file is written after everything that it speaks of. Whoever resumes the build does the
chunks that are missing, and has the same files in the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nd_plugin.borders.json_values import (
    Record,
    object_of,
    parse_json,
    read_record,
)
from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.machine.forked_workers import map_in_order
from nd_plugin.results.atomic_files import write_file
from nd_plugin.storage.durable_files import (
    is_real_folder,
    is_regular,
    regular_files,
    remove_empty,
    remove_files,
)
from nd_plugin.storage.lock_file import LOCK_FILE, alone, is_lock_file
from nd_plugin.storage.partial_folder import partial_folder

CHUNK_IMAGES = 32
DESCRIPTION = "build.json"
KIND = "nd_plugin build of a concept set"
SURVEY = "survey"
ROWS = "rows"
SET = "set"
CHUNK_FILE = re.compile(r"\d{6}\.json|\.\d{6}\.json\.[0-9a-f]{8}\.nd_draft")
Progress = Callable[[str, int, int], None]  # stage, images done, images in all


@dataclass(frozen=True)
class Workspace:
    """Folder of a build that runs, was interrupted, or has not begun."""

    output: Path

    @property
    def folder(self) -> Path:
        """Folder of the build."""
        return partial_folder(self.output)

    @property
    def new_set(self) -> Path:
        """Folder of the set that grows."""
        return self.folder / SET

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; remove it at the end if nothing of a build is in it.

        Raises BadInput where another process works in it, or where it holds something else.
        """
        self._check_ours()
        try:
            with alone(self.folder / LOCK_FILE):
                yield
        finally:
            remove_empty(self.folder)

    def begin(self, description: Mapping[str, Any], *, resume: bool) -> bool:
        """Begin a build, or continue one if it is the same; return whether one is continued.

        Raises BadInput for one that is another, RunInvalid for a damaged description.
        """
        path = self.folder / DESCRIPTION
        if resume and is_regular(path):
            check_same(read_object(path), description, self.folder)
            return True
        self.clear()
        content = json.dumps({"kind": KIND, **description}, indent=1)
        write_file(path, content.encode())
        return False

    def is_begun(self) -> bool:
        """Return whether an interrupted build is here."""
        return is_regular(self.folder / DESCRIPTION)

    def clear(self) -> None:
        """Remove everything but the lock, file by file; the description last."""
        files = regular_files(self.folder)
        removable = [name for name in files if name not in (LOCK_FILE, DESCRIPTION)]
        remove_files(self.folder, removable)
        for folder in (SURVEY, ROWS, SET):
            remove_empty_folders(self.folder / folder)
        (self.folder / DESCRIPTION).unlink(missing_ok=True)

    def do_chunks(
        self,
        kind: str,
        images: int,
        do: Callable[[range], Mapping[str, Any]],
        workers: int,
        progress: Progress,
        stage: str,
    ) -> None:
        """Do all chunks of a kind that are missing, in forked workers, and write their files.

        ``do`` returns the content of a chunk's file for a range of images.
        """
        chunks = chunk_ranges(images)
        done_numbers = set(self.done_chunks(kind, images))
        missing = [
            number for number in range(len(chunks)) if number not in done_numbers
        ]

        def work(number: int) -> int:
            content = json.dumps(do(chunks[number]), separators=(",", ":"))
            write_file(self._chunk_file(kind, number), content.encode())
            return len(chunks[number])

        def name(number: int) -> str:
            return f"images {chunks[number][0]} to {chunks[number][-1]}"

        done = images - sum(len(chunks[number]) for number in missing)
        progress(stage, done, images)
        for image_count in map_in_order(work, missing, workers, name):
            done += image_count
            progress(stage, done, images)

    def done_chunks(self, kind: str, images: int) -> list[int]:
        """Return the chunks of a kind whose files are here."""
        return [
            number
            for number in range(len(chunk_ranges(images)))
            if is_regular(self._chunk_file(kind, number))
        ]

    def read_chunk(self, kind: str, number: int, record: type[Record]) -> Record:
        """Return the content of a chunk's file. Raises RunInvalid for a damaged one."""
        content = read_object(self._chunk_file(kind, number))
        try:
            return read_record(record, content, kind)
        except ValueError as error:
            raise self.damaged(str(error)) from error

    def read_chunks(
        self, kind: str, images: int, record: type[Record]
    ) -> Iterator[Record]:
        """Yield the contents of all chunks of a kind, in order. Raises RunInvalid."""
        for number in range(len(chunk_ranges(images))):
            yield self.read_chunk(kind, number, record)

    def forget_chunk(self, kind: str, number: int) -> None:
        """Let a chunk be done again."""
        self._chunk_file(kind, number).unlink(missing_ok=True)

    def damaged(self, reason: str) -> RunInvalid:
        """Return the error of a build that cannot be continued."""
        return RunInvalid(
            f"{self.folder} is damaged: {reason}; build the set anew with --overwrite"
        )

    def remove_strays(self, files: set[str]) -> None:
        """Remove from the set what killed processes have left: all but these files."""
        strays = set(regular_files(self.new_set)) - files
        remove_files(self.new_set, strays)

    def _chunk_file(self, kind: str, number: int) -> Path:
        return self.folder / kind / f"{number:06d}.json"

    def _check_ours(self) -> None:
        """Raise BadInput for a folder that holds anything that no build has written."""
        if not self.folder.exists():
            return
        for path in sorted(self.folder.iterdir()):
            if not _is_ours(path):
                raise BadInput(
                    f"{self.folder} holds {path.name}, which is no part of an interrupted build; "
                    "move it away, or choose another folder for the set"
                )


def _is_ours(path: Path) -> bool:
    if path.name == LOCK_FILE:
        return is_lock_file(path)
    if path.name == DESCRIPTION:
        return is_regular(path) and _kind_of(path) == KIND
    if path.name.startswith(f".{DESCRIPTION}."):
        return is_regular(path)  # a draft of a killed process
    if not is_real_folder(path):
        return False
    if path.name == SET:
        # without a description: left by a process that was killed before the first file
        return is_regular(path.parent / DESCRIPTION) or not regular_files(path)
    are_chunks = all(CHUNK_FILE.fullmatch(file.name) for file in path.iterdir())
    return path.name in (SURVEY, ROWS) and are_chunks


def _kind_of(path: Path) -> str:
    try:
        return str(read_object(path).get("kind", ""))
    except RunInvalid:
        return ""


def remove_empty_folders(folder: Path) -> None:
    """Remove a folder and those below it, as far as they hold nothing."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if is_real_folder(path):
            remove_empty(path)
    if is_real_folder(folder):
        remove_empty(folder)


def chunk_ranges(images: int) -> list[range]:
    """Return the images of each chunk."""
    starts = range(0, images, CHUNK_IMAGES)
    return [range(start, min(start + CHUNK_IMAGES, images)) for start in starts]


def read_object(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file of ours. Raises RunInvalid for a damaged one."""
    try:
        return object_of(parse_json(path.read_bytes()), path.name)
    except (OSError, ValueError) as error:
        raise RunInvalid(
            f"{path} is damaged: {error}; build the set anew with --overwrite"
        ) from error


def as_json(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description as JSON has it: with lists for tuples."""
    return object_of(json.loads(json.dumps(description)), DESCRIPTION)


def check_same(
    saved: Mapping[str, Any], requested: Mapping[str, Any], folder: Path
) -> None:
    """Raise BadInput where an earlier build is of other sources or settings, naming the first."""
    for name, value in as_json(requested).items():
        if saved.get(name) != value:
            earlier_value, later_value = _first_difference(saved.get(name), value)
            raise BadInput(
                f"{folder} holds a build with another value of {name}: {earlier_value!r}, now "
                f"{later_value!r}; continue it as it was begun, or discard it with --overwrite"
            )


def _first_difference(earlier: Any, later: Any) -> tuple[Any, Any]:
    """Return the first entries of two lists or objects that differ, or the values themselves."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        names: Sequence[Any] = sorted(earlier.keys() & later.keys())
    elif isinstance(earlier, list) and isinstance(later, list):
        names = range(min(len(earlier), len(later)))
    else:
        return earlier, later
    for name in names:
        if earlier[name] != later[name]:
            return _first_difference(earlier[name], later[name])
    return earlier, later
