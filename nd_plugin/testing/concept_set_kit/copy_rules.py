"""Rules of copies, opened again or pickled, and of what reading leaves: memory, files, settings."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.testing.concept_set_kit.annotation_rules import (
    annotation_repeats,
)
from nd_plugin.testing.concept_set_kit.case import ConceptSetCase
from nd_plugin.testing.concept_set_kit.image_rules import (
    image_repeats,
    same_image,
)
from nd_plugin.testing.concept_set_kit.reading_state import (
    open_file_count,
    recording_open_files,
    recording_unclosed_files,
)
from nd_plugin.testing.conformance import Rule, require


def second_opening(case: ConceptSetCase) -> None:
    """Require the same set when it is opened again, and read in another order."""
    _require_same(case, case.open(), "opened again and read from the end")


def pickles(case: ConceptSetCase) -> None:
    """Require a set that can be pickled, whose copy is the same set."""
    require(case.copy is not None, "the pickled set is None")
    _require_same(case, case.copy, "in another process (pickled)")


def does_not_grow(case: ConceptSetCase) -> None:
    """Require that images that were read are not kept in the set, which goes to each process."""
    if case.copy is None or len(case.images) < 2:
        return
    concepts = case.open()
    _read(concepts, 0)
    first = len(pickle.dumps(concepts))
    for index in case.indices[1:]:
        _read(concepts, index)
    growth = len(pickle.dumps(concepts)) - first
    pixels = sum(image.width * image.height for image in case.images[1:])
    require(
        growth < pixels,
        f"pickled, the set is {growth} bytes larger after images of {pixels} pixels were read: "
        "leave what was decoded out of the set",
    )


def files_closed(case: ConceptSetCase) -> None:
    """Require that reading leaves no file open."""
    require(case.images and case.annotations, "nothing was read")
    with recording_unclosed_files() as unclosed:
        before = open_file_count()
        for index in case.indices:
            case.opened.image(index).load()
            case.opened.annotation(index)
        after = open_file_count()
    require(not unclosed, f"a file was opened and not closed: {unclosed[:1]}")
    require(
        after <= before,
        f"{after - before} more files are open after {len(case.indices)} images were read again",
    )


def files(case: ConceptSetCase) -> None:
    """Require all files that are opened for an image from the optional ``files()``."""
    files_of = getattr(case.opened, "files", None)
    if files_of is None:
        return
    require(case.images and case.annotations, "nothing was read")
    for index in case.indices:
        paths = files_of(index)
        require(
            isinstance(paths, Sequence) and not isinstance(paths, str),
            f"files({index}) is a sequence of paths, not a {type(paths).__name__}",
        )
        for path in paths:
            require(
                isinstance(path, str | Path),
                f"files({index}) gives paths, not {path!r}",
            )
            require(Path(path).is_file(), f"files({index}) has no file {path}")
        # all were read before: what is opened once, such as a table, is not an image's own
        with recording_open_files() as opened:
            _read(case.opened, index)
        unlisted = opened.difference(Path(path).resolve() for path in paths)
        names = ", ".join(sorted(map(str, unlisted)))
        require(
            not unlisted,
            f"files({index}) lacks what is read for the image: {names}",
        )


def splits(case: ConceptSetCase) -> None:
    """Require texts as splits, the same each time."""
    split_of = getattr(case.opened, "split", None)
    if split_of is None:
        return
    for index in case.indices:
        split = split_of(index)
        require(
            isinstance(split, str) and (split.isprintable() or not split),
            f"split({index}) is a text that can be printed, not {split!r}",
        )
        require(split == split_of(index), f"split({index}) is the same each time")


def process_as_found(case: ConceptSetCase) -> None:
    """Require that opening and reading leave the settings of the process."""
    require(case.images and case.annotations, "nothing was read")
    require(not case.changes, "; ".join(case.changes))


def _read(concepts: ConceptSet, index: int) -> None:
    concepts.image(index).load()
    concepts.annotation(index)


def _require_same(case: ConceptSetCase, other: ConceptSet, place: str) -> None:
    """Require the vocabulary, images and annotations of another set, annotations first."""
    image_repeats(case)
    annotation_repeats(case)
    opened = case.opened
    require(
        other.concepts == opened.concepts, f"{place}, the set has other concepts"
    )
    require(
        other.categories == opened.categories,
        f"{place}, the set has other categories",
    )
    require(len(other) == len(opened), f"{place}, the set has {len(other)} images")
    for index in reversed(case.indices):
        require(
            other.name(index) == opened.name(index),
            f"{place}, name({index}) is another one",
        )
        require(
            case.annotations[index].equals(other.annotation(index)),
            f"{place}, annotation({index}) is another one",
        )
        require(
            same_image(other.image(index), case.images[index]),
            f"{place}, image({index}) is another one",
        )


RULES: tuple[Rule[ConceptSetCase], ...] = (
    Rule(
        "second-opening",
        "a set that is opened again has the same concepts, names, images and annotations",
        second_opening,
    ),
    Rule(
        "pickles",
        "the set can be pickled, and its copy gives the same images and annotations",
        pickles,
    ),
    Rule(
        "does-not-grow",
        "images that were read are not kept in the set, which is pickled for each process",
        does_not_grow,
    ),
    Rule(
        "files-closed",
        "image() and annotation() close the files they open",
        files_closed,
    ),
    Rule(
        "files",
        "an optional files() gives all files that image() and annotation() open",
        files,
    ),
    Rule("splits", "an optional split() gives texts, the same each time", splits),
    Rule(
        "process-as-found",
        "Pillow's limits, random numbers and the working folder are as before",
        process_as_found,
    ),
)
