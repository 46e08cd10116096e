"""Annotations of a batch as tensors, ready to be copied to a device and to be counted against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.receptive_fields.geometry import Size

# torch computes little with wider unsigned types
TYPES: tuple[type[np.integer[Any]], ...] = (np.uint8, np.int16, np.int32)
SIGNED_TYPES = TYPES[1:]


@dataclass(frozen=True, eq=False)
class AnnotationTensors:
    """Annotations of images whose masks have one size: their `LabelCombinations` side by side.

    The concepts of image i are the ``concept_counts[i]`` items of ``concepts`` behind those of the
    images before it.
    """

    images: Tensor  # (image,) int64, into the concept set, in the batch's order
    # (image, row, column) uint8, int16 or int32: the pixel's combination among its image's
    combinations: Tensor
    # (image, combination, label) int16 or int32: 1 + concept, each at most once; 0 for no label
    members: Tensor
    combination_counts: Tensor  # (image,) int64, combinations of the image
    concept_counts: (
        Tensor  # (image,) int64, concepts that have a pixel in the image
    )
    # (concept of an image,) int64, image after image, ascending in each
    concepts: Tensor
    areas: Tensor  # (concept of an image,) int64, |L_c| of `concepts` in the image, pixels

    @classmethod
    def of(
        cls, images: Sequence[int], labels: Sequence[LabelCombinations]
    ) -> AnnotationTensors:
        """Join the annotations of at least one image; their masks have one size."""
        concepts = [image.concepts for image in labels]
        areas = [image.areas for image in labels]
        return cls(
            images=_int64(images),
            combinations=_stack_combinations(labels),
            members=_stack_members(labels),
            combination_counts=_int64([len(image.members) for image in labels]),
            concept_counts=_int64([len(image.concepts) for image in labels]),
            concepts=torch.from_numpy(np.concatenate(concepts)),
            areas=torch.from_numpy(np.concatenate(areas)),
        )

    @property
    def size(self) -> Size:
        """Rows and columns of the masks."""
        _, rows, columns = self.combinations.shape
        return rows, columns

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors, in the order that the class takes them in."""
        return [getattr(self, field.name) for field in fields(self)]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def of_images(self, images: AbstractSet[int]) -> AnnotationTensors:
        """Return the annotations of those of ``images`` that are here."""
        rows = [
            row for row, image in enumerate(self.images.tolist()) if image in images
        ]
        if len(rows) == len(self.images):
            return self
        concepts = torch.split(self.concepts, self.concept_counts.tolist())
        areas = torch.split(self.areas, self.concept_counts.tolist())
        none = self.concepts[:0]
        return AnnotationTensors(
            self.images[rows],
            self.combinations[rows],
            self.members[rows],
            self.combination_counts[rows],
            self.concept_counts[rows],
            torch.cat([none, *(concepts[row] for row in rows)]),
            torch.cat([none, *(areas[row] for row in rows)]),
        )

    def pin_memory(self) -> AnnotationTensors:
        """Return the same in pinned memory, from which a GPU copies while it computes."""
        return AnnotationTensors(*(tensor.pin_memory() for tensor in self.tensors))


TENSORS = len(fields(AnnotationTensors))


def group_by_size(
    images: Sequence[int], labels: Sequence[LabelCombinations | None]
) -> Iterator[AnnotationTensors]:
    """Yield the annotations of a batch as tensors, for each size of its masks.

    ``labels`` are those of ``images``; None, of an annotation that is unreadable, is left out.
    """
    groups: dict[Size, list[tuple[int, LabelCombinations]]] = {}
    for image, image_labels in zip(images, labels, strict=True):
        if image_labels is not None:
            group = groups.setdefault(image_labels.size, [])
            group.append((image, image_labels))
    for group in groups.values():
        group_images, group_labels = zip(*group, strict=True)
        yield AnnotationTensors.of(group_images, group_labels)


def _stack_combinations(labels: Sequence[LabelCombinations]) -> Tensor:
    largest = max(len(image.members) for image in labels) - 1
    shape = (len(labels), *labels[0].size)
    combinations = np.empty(shape, _smallest_type(largest, TYPES))
    for index, image in enumerate(labels):
        combinations[index] = image.combinations
    return torch.from_numpy(combinations)


def _stack_members(labels: Sequence[LabelCombinations]) -> Tensor:
    """Stack the members of combinations, filled up with 0 to the largest numbers of both."""
    combination_count = max(len(image.members) for image in labels)
    label_count = max(image.members.shape[1] for image in labels)
    largest = max(int(image.members.max(initial=0)) for image in labels)
    shape = (len(labels), combination_count, label_count)
    members = np.zeros(shape, _smallest_type(largest, SIGNED_TYPES))
    for index, image in enumerate(labels):
        combinations, width = image.members.shape
        members[index, :combinations, :width] = image.members
    return torch.from_numpy(members)


def _smallest_type(
    largest: int, types: Sequence[type[np.integer[Any]]]
) -> type[np.integer[Any]]:
    """Return the first of ``types`` that holds ``largest``, or the last."""
    for dtype in types:
        if largest <= np.iinfo(dtype).max:
            return dtype
    return types[-1]


def _int64(values: Sequence[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64, device="cpu")
