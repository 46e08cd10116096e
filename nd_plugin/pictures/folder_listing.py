"""Files below a folder: each listed once, whatever links lead to it.

Entries of the folder itself come first, links afterwards, so that a file has the name of its own
place. A link that leads to what is listed already, such as one to a folder above it, adds nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from nd_plugin.pictures.opening import kind_of_file

FileIdentity = tuple[int, int]  # st_dev, st_ino


@dataclass(frozen=True)
class FolderListing:
    """Relative paths of the files below a folder, and what was left out."""

    paths: tuple[str, ...]  # sorted
    # path left out: the path of the same file or folder
    repeated: Mapping[str, str]
    # path left out: what it is
    irregular: Mapping[str, str]
    # folders left out: why they cannot be read
    unreadable: Mapping[str, str]

    def notes(self, folder: str) -> list[str]:
        """Return a note on each kind of entries that were left out of ``folder``."""
        kinds = (
            (self.repeated, "the same as others", "is the same as {}"),
            (self.irregular, "no regular files", "is {}"),
            (self.unreadable, "folders that cannot be read", "({})"),
        )
        return [
            _note(entries, folder, kind, example)
            for entries, kind, example in kinds
            if entries
        ]


def _note(entries: Mapping[str, str], folder: str, kind: str, example: str) -> str:
    first = min(entries)
    reason = example.format(entries[first] or folder)
    return (
        f"{len(entries)} left out of {folder}, {kind}: for example {first} {reason}"
    )


def list_files(
    folder: Path,
    endings: Iterable[str],
    folders_by_name: Collection[str] = frozenset(),
    *,
    skips_namesakes: bool = False,
) -> FolderListing:
    """List the files below a folder that have one of these endings, in upper or lower case.

    Links are followed, to anywhere; hidden files and folders are skipped. Files and folders are
    told apart by their device and inode. In ``folders_by_name``, relative paths, every name is
    listed instead, and the folder too, whatever it is the same as: masks belong to images by name.
    With ``skips_namesakes``, a folder that has the name of a file beside it, without the ending, is
    not entered: ADE20K has the instances of ``a.jpg`` in ``a/``.

    A link to nowhere is listed: reading it says so.
    """
    walk = _Walk(
        folder,
        frozenset(ending.lower() for ending in endings),
        frozenset(folders_by_name),
        skips_namesakes,
    )
    walk.enter("")
    while walk.links:
        links = sorted(walk.links)
        walk.links = []
        for link in links:
            walk.follow(link)
    return FolderListing(
        tuple(sorted(walk.paths)), walk.repeated, walk.irregular, walk.unreadable
    )


@dataclass
class _Walk:
    """Walk below a folder; paths are relative, with slashes."""

    root: Path
    endings: AbstractSet[str]
    folders_by_name: AbstractSet[str]
    skips_namesakes: bool
    paths: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # not followed yet
    folders: dict[FileIdentity, str] = field(default_factory=dict)
    files: dict[FileIdentity, str] = field(default_factory=dict)
    repeated: dict[str, str] = field(default_factory=dict)
    irregular: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def enter(self, folder: str) -> None:
        """List a folder and those below it, without following links."""
        pending = [folder]
        while pending:
            parent = pending.pop()
            if not self._is_new_folder(parent):
                continue
            try:
                with os.scandir(self.root / parent) as entries:
                    ordered = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.unreadable[parent] = error.strerror or str(error)
                continue
            namesakes = self._stems(ordered)
            for entry in ordered:
                if entry.name in namesakes:
                    continue
                if not entry.name.startswith("."):
                    path = f"{parent}/{entry.name}" if parent else entry.name
                    self._take(entry, path, pending)

    def _stems(self, entries: Iterable[os.DirEntry[str]]) -> AbstractSet[str]:
        """Return the names of files without their endings, where their namesakes are skipped."""
        if not self.skips_namesakes:
            return frozenset()
        names = [entry.name for entry in entries if self._has_ending(entry.name)]
        return {name.removesuffix(_suffix(name)) for name in names}

    def _is_new_folder(self, folder: str) -> bool:
        try:
            status = (self.root / folder).stat()
        except OSError as error:
            self.unreadable[folder] = error.strerror or str(error)
            return False
        identity = (status.st_dev, status.st_ino)
        first = self.folders.setdefault(identity, folder)
        if first == folder or folder in self.folders_by_name:
            return True
        self.repeated[folder] = first
        return False

    def _take(self, entry: os.DirEntry[str], path: str, pending: list[str]) -> None:
        """Take note of an entry of a folder."""
        if entry.is_symlink():
            self.links.append(path)
        elif entry.is_dir(follow_symlinks=False):
            pending.append(path)
        elif self._has_ending(path):
            status = entry.stat(follow_symlinks=False)
            self._add(path, status, may_repeat=status.st_nlink > 1)

    def follow(self, link: str) -> None:
        """Follow a link to a file or a folder."""
        try:
            status = (self.root / link).stat()
        except OSError:
            if self._has_ending(link):
                self.paths.append(link)
            return
        if kind_of_file(status.st_mode) == "a folder":
            self.enter(link)
        elif self._has_ending(link):
            self._add(link, status, may_repeat=True)

    def _add(self, path: str, status: os.stat_result, *, may_repeat: bool) -> None:
        """List a file, unless it is listed already or no regular one."""
        kind = kind_of_file(status.st_mode)
        if kind:
            self.irregular[path] = kind
            return
        first = self.files.setdefault((status.st_dev, status.st_ino), path)
        parent = path.rpartition("/")[0]
        if first != path and may_repeat and parent not in self.folders_by_name:
            self.repeated[path] = first
        else:
            self.paths.append(path)

    def _has_ending(self, path: str) -> bool:
        return _suffix(path).lower() in self.endings


def _suffix(path: str) -> str:
    """Return what `PurePosixPath.suffix` does, without making a path of each of many files."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if 0 < dot < len(name) - 1 else ""
