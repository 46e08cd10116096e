"""Checks of an opened concept set of any plugin, image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.concepts.check.collecting import rule_of_unreadable
from nd_plugin.concepts.check.runs import check_each, looks_at_all
from nd_plugin.concepts.check.samples import (
    find_rare_concepts,
    find_unused_categories,
)
from nd_plugin.contracts.concept_sets import Annotation, ConceptSet
from nd_plugin.contracts.plugin_specs import SetFinding
from nd_plugin.contracts.set_checks import read_annotation, read_image
from nd_plugin.foreign_code import describe_error
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.pictures.masks import check_aspect
from nd_plugin.pictures.png_checksums import checked_checksums

READ_AGAIN = "copy or export the file again, or take the image out of the set"
REMEDIES = {
    "unreadable-image": READ_AGAIN,
    "unreadable-mask": READ_AGAIN,
    "mask-checksum": READ_AGAIN,
    "mask-format": "export the mask again, as PNG",
    "mask-aspect": "export the mask of the whole image, in the image's aspect",
    "unlisted-label": "list the concept, or correct the label",
    "unlabelled-image": "add labels, or leave the image out: it counts for no concept",
    "duplicate-image": "leave out all but one of them",
    "duplicate-name": "rename one of the concepts",
    "annotation-remark": "correct what it names; nothing, where the set has it on purpose",
}
WARNINGS = ("unlabelled-image", "duplicate-image", "annotation-remark")
# the vocabulary is the data set's: a label that no image has is none of its faults
UNUSED_LABEL = "nothing, if this is a part of the data set; else leave it out by SET[min_samples=1]"


@dataclass(frozen=True)
class ImageResult:
    """Faults of an image, and the plane values that it has."""

    findings: tuple[SetFinding, ...]
    values: tuple[int, ...]


@dataclass(frozen=True)
class ImageChecker:
    """Check of a set's images; called with an index, it reads image and annotation."""

    concepts: ConceptSet

    def __call__(self, index: int) -> ImageResult:
        """Return the faults of an image, and the values on it."""
        name = self.concepts.name(index)
        findings = []
        size = None
        try:
            picture = convert_picture(read_image(self.concepts, index))
            size = (picture.rgb.height, picture.rgb.width)
        except Exception as error:  # a decoder may raise anything
            rule = rule_of_unreadable(error, "image")
            findings.append(_finding(rule, name, describe_error(error)))
        try:
            with checked_checksums():
                annotation = read_annotation(self.concepts, index)
        except Exception as error:
            rule = rule_of_unreadable(error, "mask")
            findings.append(_finding(rule, name, describe_error(error)))
            return ImageResult(tuple(findings), ())
        findings += _shape_findings(annotation, size, name)
        for remark in annotation.remarks:
            findings.append(_finding("annotation-remark", name, remark))
        values = _values_of(annotation)
        if not values:
            findings.append(_finding("unlabelled-image", name, "it has no label"))
        known = range(1, len(self.concepts.concepts) + 1)
        unlisted = sorted(value for value in values if value not in known)
        if unlisted:
            problem = (
                f"it has the value {unlisted[0]}; there are {len(known)} concepts"
            )
            findings.append(_finding("unlisted-label", name, problem))
        listed = sorted(values.difference(unlisted))
        return ImageResult(tuple(findings), tuple(listed))


def find_faults(concepts: ConceptSet) -> Iterator[SetFinding]:
    """Yield the faults of an opened set, of the images that the run looks at."""
    yield from _repetitions(concepts)
    images = range(len(concepts))
    counts: Counter[int] = Counter()
    for result in check_each(ImageChecker(concepts), images):
        yield from result.findings
        counts.update(result.values)
    if not looks_at_all(len(images)):
        return
    source = concepts.identity.source
    vocabulary = concepts.concepts
    samples = [counts[value] for value in range(1, len(vocabulary) + 1)]
    places = [source] * len(vocabulary)
    yield from find_rare_concepts(vocabulary, samples, places, UNUSED_LABEL)
    yield from find_unused_categories(
        concepts.categories, vocabulary, samples, source
    )


def _repetitions(concepts: ConceptSet) -> Iterator[SetFinding]:
    """Yield a fault for each name of an image, and of a concept in its category, used twice."""
    names = Counter(concepts.name(index) for index in range(len(concepts)))
    for name, count in names.items():
        if count > 1:
            yield _finding(
                "duplicate-image", name, f"{count} images have this name"
            )
    kinds = Counter(
        (concept.name, concept.category) for concept in concepts.concepts
    )
    for (name, category), count in kinds.items():
        if count > 1:
            problem = (
                f"{count} concepts of category {category!r} are named {name!r}"
            )
            yield _finding("duplicate-name", concepts.identity.source, problem)


def _shape_findings(
    annotation: Annotation, size: tuple[int, int] | None, name: str
) -> Iterator[SetFinding]:
    """Yield a fault for each plane that has not the aspect of its upright image."""
    for number, plane in enumerate(annotation.planes):
        rows, columns = np.asarray(plane).shape
        if size is None:
            continue
        try:
            check_aspect((rows, columns), size, f"plane {number}")
        except ValueError as error:
            yield _finding("mask-aspect", name, str(error))


def _values_of(annotation: Annotation) -> set[int]:
    """Return the values on an annotation's planes and of the whole image, but for 0."""
    values = {int(value) for value in annotation.labels}
    for plane in annotation.planes:
        values.update(_values_on(np.asarray(plane)))
    return values - {0}


def _values_on(plane: npt.NDArray[np.integer[Any]]) -> list[int]:
    values: list[int] = np.unique(plane).tolist()
    return values


def _finding(rule: str, place: str, problem: str) -> SetFinding:
    return SetFinding(rule, place, problem, REMEDIES[rule], rule not in WARNINGS)
