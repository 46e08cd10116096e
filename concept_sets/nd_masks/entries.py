"""Entries of a set in the masks format: each image with its masks and whole-image labels."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_masks.files import size_in_bytes, stem
from nd_masks.tables import concept_of
from nd_plugin import (
    Concept,
    ConceptSetInvalid,
    FolderListing,
    TableLine,
    fingerprint,
)


@dataclass(frozen=True)
class Entry:
    """An image with its masks and labels."""

    image: str  # path below images/
    masks: tuple[tuple[str, str], ...]  # category, path below masks/
    labels: tuple[int, ...]  # whole-image concepts, as values of planes


def labels_of_images(
    images: FolderListing,
    lines: Sequence[TableLine],
    plane_values: Mapping[Concept, int],
) -> dict[str, list[int]]:
    """Return each image's whole-image labels from the lines of image_labels.csv."""
    labels: dict[str, list[int]] = {image: [] for image in images.paths}
    for position, line in lines:
        if line["image"] not in labels:
            raise ConceptSetInvalid(_no_image(line["image"], position, images))
        labels[line["image"]].append(plane_values[concept_of(line)])
    return labels


def _no_image(image: str, position: str, images: FolderListing) -> str:
    first = images.repeated.get(image)
    if first is not None:
        return (
            f"{position}: the image {image!r} is the same file as {first!r}, which is listed once; "
            f"write {first!r}, or make the file a copy"
        )
    return (
        f"{position}: no image {image!r} below images/; write its path from there, with its "
        "ending"
    )


def match_masks(
    labels: Mapping[str, Sequence[int]], masks: Mapping[str, Mapping[str, str]]
) -> list[Entry]:
    """Return an entry for each image, with the masks that share its stem.

    ``labels`` are plane values by image; ``masks`` are paths by category and stem.
    """
    stems = {stem(image) for image in labels}
    entries = []
    for image, plane_values in labels.items():
        matched = []
        for category, paths in masks.items():
            for path in planes_of(stem(image), paths, stems):
                matched.append((category, path))
        entries.append(Entry(image, tuple(matched), tuple(plane_values)))
    return entries


def planes_of(
    image_stem: str, masks: Mapping[str, str], image_stems: Collection[str]
) -> Iterator[str]:
    """Yield the masks of one image and category: NAME.png, then NAME.1.png, NAME.2.png and so on.

    Numbers count up from 1 without a gap. They also end at a file that is the first mask of an
    image of its own, as ``b.1.png`` is of ``b.1.jpg``.
    """
    if image_stem in masks:
        yield masks[image_stem]
    number = 1
    numbered_stem = f"{image_stem}.{number}"
    while numbered_stem in masks and numbered_stem not in image_stems:
        yield masks[numbered_stem]
        number += 1
        numbered_stem = f"{image_stem}.{number}"


def mismatches(
    entries: Sequence[Entry], masks: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Return notes on images without masks and on masks without an image.

    Both may be intended, or come from a misspelt file name.
    """
    notes = []
    for category in masks:
        unmasked = [
            entry.image for entry in entries if category not in dict(entry.masks)
        ]
        if unmasked:
            notes.append(
                f"{len(unmasked)} of {len(entries)} images have no mask of category {category}, "
                f"for example {unmasked[0]}"
            )
    unmatched = unmatched_masks(entries, masks)
    if unmatched:
        notes.append(
            f"{len(unmatched)} masks match no image, for example {unmatched[0]}"
        )
    return notes


def unmatched_masks(
    entries: Sequence[Entry], masks: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Return the paths of the masks that belong to no entry, by category and stem given."""
    matched: set[str] = set()
    for entry in entries:
        matched.update(path for _, path in entry.masks)
    unmatched = []
    for paths in masks.values():
        unmatched += [path for path in paths.values() if path not in matched]
    return unmatched


def entries_fingerprint(root: Path, entries: Sequence[Entry]) -> str:
    """Return the fingerprint of both tables and of all files' paths and sizes."""
    chunks = []
    for name in ("concepts.csv", "image_labels.csv"):
        if (root / name).is_file():
            chunks.append(name.encode() + (root / name).read_bytes())
    paths = [f"images/{entry.image}" for entry in entries]
    for entry in entries:
        paths += [f"masks/{path}" for _, path in entry.masks]
    for path in paths:
        chunks.append(os.fsencode(f"{path} {size_in_bytes(root / path)}\n"))
    return fingerprint(chunks)
