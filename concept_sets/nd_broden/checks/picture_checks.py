"""Checks of one line of an index: its image, its masks, and the labels on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_broden.checks.findings import finding_of
from nd_broden.checks.index_values import IndexLine
from nd_plugin import (
    ConceptSetInvalid,
    NamedFiles,
    PictureSize,
    SetFinding,
    check_aspect,
    checked_checksums,
    describe_error,
    measure_picture,
    read_mask,
    read_picture,
)
from nd_plugin.reading import place_of, rule_of_unreadable

NUMBERS_NAMED = 3  # unlisted labels of one mask


@dataclass(frozen=True)
class LineResult:
    """Faults of an image and its masks, and the labels that it has."""

    findings: tuple[SetFinding, ...]
    # numbers by category of the index's columns, those of whole-image labels too
    labels: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class PictureChecker:
    """Check of the lines of an index; called with one, it reads its image and its masks."""

    files: NamedFiles
    numbers: frozenset[int]  # of label.csv

    def __call__(self, line: IndexLine) -> LineResult:
        """Return the faults of a line's files, and its labels."""
        findings: list[SetFinding] = []
        size = self._check_image(line, findings)
        labels = {}
        for category, planes in line.planes.items():
            numbers = set(line.numbers[category])
            self._check_listed(
                numbers, place_of(line.position, self.files.root), "it", findings
            )
            for plane in planes:
                numbers |= self._check_mask(plane, line, size, findings)
            labels[category] = tuple(sorted(numbers & self.numbers))
        return LineResult(tuple(findings), labels)

    def _check_image(
        self, line: IndexLine, findings: list[SetFinding]
    ) -> PictureSize | None:
        """Check an image against its line; return its size, None if it cannot be read."""
        name = line.row.image
        path = self._existing(name, "image", findings)
        if path is None:
            return None
        place = f"images/{name}"
        try:
            size = measure_picture(path, read_picture(path))
        except Exception as error:  # a decoder may raise anything
            rule = rule_of_unreadable(error, "image")
            problem = f"it cannot be read: {describe_error(error)}"
            findings.append(finding_of(rule, place, problem))
            return None
        findings += _compare_size(line, size, place, self.files.root)
        return size

    def _existing(
        self, name: str, kind: str, findings: list[SetFinding]
    ) -> Path | None:
        """Return the path of a file of the set; a missing one is a fault."""
        place = f"images/{name}"
        if not is_inside(name, self.files):
            return None  # a fault of the line, which names it
        try:
            path = self.files.path(name)
            is_there = path.exists()
        except ConceptSetInvalid as error:
            findings.append(finding_of("outside-set", place, str(error)))
            return None
        except (OSError, ValueError) as error:
            problem = f"it cannot be looked at: {error}"
            findings.append(finding_of(f"unreadable-{kind}", place, problem))
            return None
        if not is_there:
            findings.append(finding_of(f"missing-{kind}", place, "no such file"))
            return None
        return path

    def _check_mask(
        self,
        name: str,
        line: IndexLine,
        size: PictureSize | None,
        findings: list[SetFinding],
    ) -> set[int]:
        """Check a mask; return the label numbers on it, none of one that cannot be read."""
        path = self._existing(name, "mask", findings)
        if path is None:
            return set()
        place = f"images/{name}"
        try:
            with checked_checksums():
                mode, pixels = read_mask(path, "the mask")
        except Exception as error:
            rule = rule_of_unreadable(error, "mask")
            findings.append(finding_of(rule, place, str(error)))
            return set()
        if mode not in ("RGB", "RGBA"):
            problem = f"it is of mode {mode}; expected RGB"
            findings.append(finding_of("mask-mode", place, problem))
            return set()
        mask_size = (pixels.shape[0], pixels.shape[1])
        findings += _compare_mask_size(line, mask_size, size, place)
        numbers = _numbers_of(pixels)
        if numbers == {0}:
            problem = "all of its pixels are 0, no label"
            findings.append(finding_of("empty-mask", place, problem))
        self._check_listed(numbers, place, "the mask", findings)
        return numbers

    def _check_listed(
        self, numbers: set[int], place: str, what: str, findings: list[SetFinding]
    ) -> None:
        """Check that label.csv lists all of these numbers; 0 is "no label"."""
        unlisted = sorted(numbers - self.numbers - {0})
        # without any label, label.csv itself is the fault
        if not unlisted or not self.numbers:
            return
        named = ", ".join(map(str, unlisted[:NUMBERS_NAMED]))
        beyond = len(unlisted) - NUMBERS_NAMED
        more = f" and {beyond} more" if beyond > 0 else ""
        labels, are = ("label", "is") if len(unlisted) == 1 else ("labels", "are")
        problem = (
            f"{what} has the {labels} {named}{more}, which {are} not in label.csv"
        )
        findings.append(finding_of("unlisted-label", place, problem))


def is_inside(name: str, files: NamedFiles) -> bool:
    """Return whether a name in an index stays inside the set."""
    try:
        files.check(name, "")
    except ConceptSetInvalid:
        return False
    return True


def _compare_size(
    line: IndexLine, size: PictureSize, place: str, root: Path
) -> Iterator[SetFinding]:
    """Yield a fault for an image of another size than its line says."""
    listed = line.row.image_size
    if listed is None or listed == size.upright:
        if listed is None and line.row.size is not None:
            yield from _turned_masks(line.row.size, size, place)
        return
    height, width = listed
    where = place_of(line.position, root)
    if listed == size.stored:
        problem = (
            f"its EXIF orientation turns it to {_text(size.upright)}; {where} says "
            f"{height}x{width}, as it is stored"
        )
        yield finding_of("image-orientation", place, problem)
        return
    problem = (
        f"it is {_text(size.upright)}, and {where} says {height}x{width} (ih x iw)"
    )
    yield finding_of("image-size", place, problem)


def _turned_masks(
    mask_size: tuple[int, int], size: PictureSize, place: str
) -> Iterator[SetFinding]:
    """Yield a fault for masks of an image as it is stored, which its orientation turns."""
    try:
        check_aspect(mask_size, size.upright, "sh x sw in the index", size.stored)
    except ValueError as error:
        yield finding_of("image-orientation", place, str(error))


def _compare_mask_size(
    line: IndexLine,
    mask_size: tuple[int, int],
    size: PictureSize | None,
    place: str,
) -> Iterator[SetFinding]:
    """Yield faults of a mask's size: against the index, else against its image."""
    listed = line.row.size
    if listed is not None and mask_size != listed:
        problem = f"it is {_text(mask_size)}, and the index says {_text(listed)} (sh x sw)"
        yield finding_of("mask-size", place, problem)
    image_size = line.row.image_size
    if size is None and image_size is not None:
        size = PictureSize(image_size, image_size)
    if size is None:
        return
    try:
        check_aspect(mask_size, size.upright, "the mask", size.stored)
    except ValueError as error:
        yield finding_of("mask-aspect", place, str(error))


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _numbers_of(pixels: npt.NDArray[np.integer[Any]]) -> set[int]:
    """Return the label numbers of pixels (row, column, channel): red + 256 * green."""
    red = pixels[:, :, 0].astype(np.uint16)
    green = pixels[:, :, 1].astype(np.uint16)
    numbers = np.bincount((red + green * np.uint16(256)).ravel())
    return set(np.flatnonzero(numbers).tolist())
