"""From an archive on the disk to a complete set in the cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nd_plugin.concepts.fetch.archive.contents import ArchiveRefused, Limits
from nd_plugin.concepts.fetch.archive.extraction import (
    Unpacked,
    check_end,
    check_free,
    unpack,
)
from nd_plugin.concepts.fetch.hashes import (
    EARLIER,
    THIRD_PARTY,
    Hash,
    HashDiffers,
    compare_hashes,
    hashes_of,
)
from nd_plugin.concepts.fetch.known_sets import KnownSet
from nd_plugin.concepts.fetch.places import Place
from nd_plugin.concepts.fetch.record import Record, now, read_note
from nd_plugin.concepts.fetch.remedies import accept_command
from nd_plugin.errors import NDError, NotSaved
from nd_plugin.results.atomic_files import move_folder
from nd_plugin.storage.lock_file import not_saved

ShowProgress = Callable[[str, int, int | None], None]  # stage, done, total


@dataclass(frozen=True)
class Verified:
    """What the reader of its format says of a folder."""

    images: int
    concepts: int
    notes: tuple[str, ...] = ()


# raises an error of nd_plugin for a folder that is no such set, or not a whole one
Verify = Callable[[Path], Verified]


@dataclass(frozen=True)
class Fetched:
    """Set in the cache."""

    folder: Path
    is_new: bool
    verified: Verified
    record: Record | None  # None for a set whose note is gone
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archive:
    """Archive on the disk, and where it has come from."""

    path: Path
    address: str
    is_ours: bool = True  # and may be removed


@dataclass(frozen=True)
class Finish:
    """Work that makes archives sets."""

    known: KnownSet
    size: int
    verify: Verify
    expected: Hash | None = (
        None  # in the place of known ones, and of an earlier fetch
    )
    limits: Limits = field(default_factory=Limits)
    say: Callable[[str], None] = lambda message: None
    show_progress: ShowProgress = lambda stage, done, total: None

    @property
    def place(self) -> Place:
        """Place of the set."""
        return Place.of(self.known, self.size)

    def check_room(self, rest: int, total: int) -> None:
        """Raise NotSaved where the rest of an archive, and its files, do not fit on the disk.

        Pictures hardly shrink in archives: their files take as much again.
        """
        check_free(rest + total, self.place.work, "the archive and its files")

    def run(self, archive: Archive) -> Fetched:
        """Check, unpack and verify an archive, and give its folder the set's name.

        Raises ArchiveRefused, of an archive of ours after it is removed or put aside, and
        NotSaved; the set that was there before stays then.
        """
        try:
            return self._run(archive)
        except HashDiffers as error:
            path = self._put_aside(archive)
            command = accept_command(self.known, self.size, path, error.actual)
            raise ArchiveRefused(
                f"{error}; if it is the right file all the same: {command}"
            ) from error
        except ArchiveRefused:
            if archive.is_ours:
                archive.path.unlink(missing_ok=True)
                self.place.origin.unlink(missing_ok=True)
            raise
        finally:
            remove_tree(self.place.unpacked)

    def _run(self, archive: Archive) -> Fetched:
        # of a download that broke off no hash is told: it is not one to be accepted
        check_end(archive.path, self.limits)
        self.say("comparing the hash of the archive")
        known = self._known_hashes()
        try:
            hashes = hashes_of(archive.path, known)
            size = archive.path.stat().st_size
        except OSError as error:
            reason = error.strerror or error
            raise ArchiveRefused(f"it cannot be read: {reason}") from error
        checked = compare_hashes(hashes, known)
        unpacked = self._unpack(archive)
        verified = self._verify()
        record = Record(
            set=self.known.name,
            size=self.size,
            address=archive.address,
            sha256=hashes["sha256"],
            md5=hashes["md5"],
            archive_bytes=size,
            files=unpacked.files,
            unpacked_bytes=unpacked.bytes,
            images=verified.images,
            concepts=verified.concepts,
            checked=checked,
            fetched=now(),
        )
        self._place()
        record.write(self.place.record)
        notes = (*verified.notes, *_left_out(unpacked))
        return Fetched(self.place.folder, True, verified, record, notes)

    def _known_hashes(self) -> list[Hash]:
        """Return the hashes that the archive has to have. Raises RunInvalid for a damaged note."""
        if self.expected is not None:
            return [self.expected]
        record = read_note(self.place.record)
        if record is not None:  # whose archive was taken for good
            return [Hash("sha256", record.sha256, EARLIER)]
        if self.size in self.known.hashes:
            return [Hash.parse(self.known.hashes[self.size], THIRD_PARTY)]
        return []

    def _unpack(self, archive: Archive) -> Unpacked:
        remove_tree(self.place.unpacked)
        unpacked = unpack(
            archive.path,
            self.place.unpacked,
            self.known.marker,
            self.limits,
            self.show_progress,
        )
        for size in self.known.sizes:
            name = self.known.folder_name(size)
            if unpacked.inner_name == name and size != self.size:
                raise ArchiveRefused(
                    f"it holds {name}: fetch it with --size {size}"
                )
        return unpacked

    def _verify(self) -> Verified:
        """Return what the reader says. Raises ArchiveRefused where it refuses the folder."""
        self.say("looking at every file of the set")
        try:
            return self.verify(self.place.unpacked)
        except NDError as error:
            raise ArchiveRefused(f"it holds no whole set: {error}") from error

    def _place(self) -> None:
        """Give the folder its name. Raises NotSaved."""
        # once for all files, which may be hundreds of thousands; a power cut then finds them all
        if hasattr(os, "sync"):
            os.sync()
        move_folder(
            self.place.unpacked, self.place.folder, may_replace=self._is_set
        )

    def _is_set(self, folder: Path) -> bool:
        """Return whether a folder is an earlier set, which may be replaced."""
        return (folder / self.known.marker).is_file()

    def _put_aside(self, archive: Archive) -> Path:
        """Keep an archive of ours that was refused for its hash alone, and return its path."""
        if not archive.is_ours:
            return archive.path
        try:
            archive.path.replace(self.place.refused)
        except OSError as error:
            raise not_saved(self.place.refused, error) from error
        return self.place.refused


def remove_tree(folder: Path) -> None:
    """Remove a folder of our own work, if it is there. Raises NotSaved."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise NotSaved(
            f"{folder} cannot be removed: {error.strerror or error}; remove it"
        ) from error


def _left_out(unpacked: Unpacked) -> list[str]:
    """Return a note on what lies beside the set's folder in the archive."""
    if not unpacked.left_out:
        return []
    return [
        f"{unpacked.left_out} files beside the set's folder in the archive were left out"
    ]
