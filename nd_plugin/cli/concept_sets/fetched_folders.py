"""Verification of a fetched folder by the reader of its format."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nd_plugin.errors import ConceptSetInvalid, RunFailed, Unavailable
from nd_plugin.foreign_code import describe_error, translating_errors

if TYPE_CHECKING:
    from nd_plugin.concepts.fetch.finishing import Verified
    from nd_plugin.contracts.concept_sets import ConceptSet

SAMPLES = 8  # images that are decoded, with their masks
SHOWN = 3  # missing files in a message


def verify_with(name: str) -> Callable[[Path], Verified]:
    """Return a function that opens a folder by the reader ``name``, and looks at all its files.

    It raises an error of nd_plugin for a folder that the reader refuses, that lacks a file, or
    whose images or masks cannot be decoded. Raises Unavailable where the reader is not installed.
    """
    from nd_plugin.contracts.plugin_specs import ConceptSetSpec
    from nd_plugin.plugins.host import host, load_factory

    offer = host().named(ConceptSetSpec, name)
    if offer is None:
        raise Unavailable(
            f"the concept set {name!r} has no reader here, with which a fetched folder could be "
            "verified (nd plugins)"
        )
    # not by a text: the name of a folder may hold a question mark
    factory = load_factory(offer)

    def verify(folder: Path) -> Verified:
        def failure(error: BaseException) -> RunFailed:
            return RunFailed(f"the reader {name!r} failed: {describe_error(error)}")

        with translating_errors(failure):
            return _verified(factory(str(folder)))

    return verify


def _verified(concepts: ConceptSet) -> Verified:
    from nd_plugin.concepts.fetch.finishing import Verified

    if not len(concepts):
        raise ConceptSetInvalid("it has no images")
    missing = list(_missing_files(concepts))
    if missing:
        names = ", ".join(missing[:SHOWN])
        raise ConceptSetInvalid(
            f"{len(missing)} files are missing or empty, for example {names}"
        )
    _decode_samples(concepts)
    notes = tuple(getattr(concepts, "notes", ()))
    return Verified(len(concepts), len(concepts.concepts), notes)


def _missing_files(concepts: Any) -> Iterator[str]:
    """Yield the paths of files that the set names and that are not there."""
    for index in range(len(concepts)):
        for path in concepts.files(index):
            if not _is_filled(path):
                yield str(path)


def _is_filled(path: Path) -> bool:
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _decode_samples(concepts: ConceptSet) -> None:
    """Read some images and masks, evenly over the set. Raises ConceptSetInvalid."""
    count = len(concepts)
    for index in sorted({number * count // SAMPLES for number in range(SAMPLES)}):
        try:
            concepts.image(index).load()
            concepts.annotation(index)
        except (OSError, ValueError) as error:
            raise ConceptSetInvalid(
                f"image {index} cannot be read: {error}"
            ) from error
