"""Contents of a concept set's files: hashed, so that a run knows its data again.

The fingerprint of a concept set is of tables, names and sizes, which cost little to look at. That
of contents reads every file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.provenance import fingerprint
from nd_plugin.errors import BadInput
from nd_plugin.foreign_code import describe_error, translating_errors
from nd_plugin.storage.hashed_files import UNREADABLE, hash_groups

STAGE = "verifying data"
Progress = Callable[[str, int, int], None]  # stage, images done, images in all


class Contents(NamedTuple):
    """Contents of the files of a concept set's images and annotations."""

    fingerprint: str = ""  # "" where no file was hashed
    notes: tuple[str, ...] = ()


def hash_contents(
    concepts: ConceptSet, images: int, progress: Progress, threads: int
) -> Contents:
    """Hash the files of the first ``images`` images and of their annotations.

    A concept set that generates its images has no files (``files`` returns none of them); one that
    has no method ``files`` cannot be verified. A note says so. Raises BadInput for a method that
    returns no paths.
    """
    files_of = getattr(concepts, "files", None)
    source = concepts.identity.source
    if files_of is None:
        return Contents(
            notes=(
                f"contents of {source} were not verified: its plugin does not name its files "
                "(ConceptSet.files)",
            )
        )
    groups = [partial(_paths, files_of, image, source) for image in range(images)]
    hashes: list[str] = []
    file_count = 0
    unreadable = 0
    progress(STAGE, 0, images)
    for image, group in enumerate(hash_groups(groups, threads)):
        hashes.append(" ".join(group))
        file_count += len(group)
        unreadable += group.count(UNREADABLE)
        progress(STAGE, image + 1, images)
    if not file_count:
        return Contents(
            notes=(
                f"{source} has no files to verify: its fingerprint says what its images are",
            )
        )
    content = fingerprint(f"{line}\n".encode() for line in hashes)
    return Contents(content, tuple(_notes(file_count, unreadable)))


def _notes(file_count: int, unreadable: int) -> list[str]:
    if not unreadable:
        return []
    return [
        f"{unreadable} of {file_count} files of images and annotations cannot be read: of these "
        "only that was verified"
    ]


def _paths(
    files_of: Callable[[int], Sequence[Path]], image: int, source: str
) -> list[Path]:
    """Return the paths of an image's files. Raises BadInput for anything else."""

    def no_paths(error: BaseException) -> BadInput:
        return BadInput(
            f"{source}: files({image}) does not return paths: {describe_error(error)}"
        )

    with translating_errors(no_paths):
        return [Path(path) for path in files_of(image)]
