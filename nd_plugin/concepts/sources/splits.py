"""Splits of a source: lists of images, a text file each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from nd_plugin.concepts.sources.text_lines import read_lines
from nd_plugin.errors import ConceptSetInvalid


def read_splits(
    lists: Mapping[str, Path], images: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the split of each image that a list names, and notes on what lists leave open.

    ``lists`` are files by split, whose lines begin with an image as ``images`` has it. A file may
    be absent. Raises ConceptSetInvalid for an image in two of them.
    """
    if not lists:
        return {}, ["no lists of splits are there: images are of none"]
    splits: dict[str, str] = {}
    notes = []
    for split, path in lists.items():
        if not path.exists():
            notes.append(f"no {path.name} in {path.parent}: no image is of {split}")
            continue
        for position, line in read_lines(path):
            image = line.split()[0]
            if splits.setdefault(image, split) != split:
                raise ConceptSetInvalid(
                    f"{position}: {image!r} is in the list of {splits[image]}, too; delete it from "
                    "one of the two"
                )
    unlisted = [image for image in images if image not in splits]
    if unlisted and splits:
        notes.append(
            f"{len(unlisted)} of {len(images)} images are in no list of a split, for example "
            f"{unlisted[0]}"
        )
    return splits, notes
