"""Places of fetched sets in the cache.

::

    concept_sets/broden1_224/        a set: complete, or not there
    concept_sets/broden1_224.json    what it was made from
    concept_sets/broden1_224.fetch/  work on it: lock, partial downloads, archive, unpacked files
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nd_plugin.concepts.fetch.known_sets import SETS, KnownSet
from nd_plugin.errors import NotSaved
from nd_plugin.storage import folder_swap
from nd_plugin.storage.cache_folder import cache_folder
from nd_plugin.storage.lock_file import LOCK_FILE, not_saved


@dataclass(frozen=True)
class Place:
    """Place of one set of one size."""

    folder: Path  # of the complete set

    @classmethod
    def of(cls, known: KnownSet, size: int) -> Place:
        """Return the place of a set in the cache."""
        return cls(cache_folder() / "concept_sets" / known.folder_name(size))

    @property
    def record(self) -> Path:
        """Note of what the set was made from, and of its hashes."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def work(self) -> Path:
        """Folder of the work on the set, which is gone once it is complete."""
        return self.folder.with_name(f"{self.folder.name}.fetch")

    @property
    def lock(self) -> Path:
        """Lock of the process that fetches the set."""
        return self.work / LOCK_FILE

    @property
    def archive(self) -> Path:
        """Archive that has arrived whole."""
        return self.work / "archive.zip"

    @property
    def origin(self) -> Path:
        """Note of where the archive has come from."""
        return self.work / "archive.json"

    @property
    def refused(self) -> Path:
        """Archive whose hash is another than the known one."""
        return self.work / "refused.zip"

    @property
    def unpacked(self) -> Path:
        """Files of the archive, not yet the set."""
        return self.work / "unpacked"

    def partial_files(self) -> list[Path]:
        """Return the parts of archives that have arrived."""
        return sorted(self.work.glob("download-*.part"))

    def work_files(self) -> list[Path]:
        """Return the files of the work on the set, but for its lock and the archive itself."""
        notes = self.work.glob("download-*.json")
        return [*self.partial_files(), *notes, self.origin, self.refused]


def fetched_set(name: str, size: int | None = None) -> Path | None:
    """Return the folder of a concept set that ``nd concepts fetch`` has put into the cache.

    Without ``size`` it is the first of the published sizes (Broden: 224, 227, 384) that is there.
    None where there is none. Raises NotSaved where a folder that was being replaced when its
    process was killed cannot be given its name.
    """
    for known in SETS:
        sizes = known.sizes if size is None else (size,)
        for known_size in sizes if known.name == name else ():
            folder = Place.of(known, known_size).folder
            _recover(folder)
            if folder.is_dir():
                return folder
    return None


def _recover(folder: Path) -> None:
    """End an exchange of folders that a killed process has left. Raises NotSaved."""
    try:
        folder_swap.recover(folder.resolve())
    except OSError as error:
        raise not_saved(folder, error) from error
    except (RuntimeError, ValueError) as error:  # a loop of links
        raise NotSaved(f"{folder} cannot be looked at: {error}") from error
