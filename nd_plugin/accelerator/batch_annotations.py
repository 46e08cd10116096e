"""Annotations of a batch on a device, and what is counted of them on the host."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import torch

from nd_plugin.accelerator.annotations import DeviceAnnotations, find_categories
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.machine.transfers import to_device
from nd_plugin.method.annotations import Counts
from nd_plugin.method.counting import ConceptCounts
from nd_plugin.probe_data.annotation_tensors import AnnotationTensors
from nd_plugin.probe_data.batch import Batch
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.significance.image_concepts import ImageConcepts


@dataclass(frozen=True)
class BatchAnnotations:
    """Annotations of one batch: on a device by size of the masks, and what is counted of them."""

    number: int  # of the batch
    by_size: Sequence[DeviceAnnotations]
    areas: ConceptCounts
    skipped: Sequence[Skipped]
    image_count: int
    remarks: Remarks
    # for folds and permutations
    image_concepts: Sequence[ImageConcepts] = ()

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return sum(annotations.nbytes for annotations in self.by_size)


def annotations_on(
    device: torch.device,
    batch: Batch,
    categories: int,
    category_of: Counts,
    readable: AbstractSet[int],
    *,
    with_image_concepts: bool = False,
) -> BatchAnnotations:
    """Copy the annotations of the ``readable`` images of a batch to a device.

    There are so many ``categories``; ``category_of`` is (concept,). ``with_image_concepts``: the
    concepts of single images stay on the host.
    """
    areas = ConceptCounts.empty(len(category_of), categories)
    device_category_of = to_device(torch.from_numpy(category_of), device)
    by_size = []
    image_concepts = []
    for on_host in batch.annotations:
        counted = on_host.of_images(readable)
        areas.update_images(
            counted.concepts.numpy(),
            counted.areas.numpy(),
            counted.concept_counts.numpy(),
            category_of,
            counted.size[0] * counted.size[1],
        )
        if with_image_concepts:
            image_concepts.append(_image_concepts(counted))
        members = to_device(counted.members, device)
        by_size.append(
            DeviceAnnotations(
                to_device(counted.images, device),
                to_device(counted.combinations, device),
                members,
                find_categories(members, device_category_of, categories),
            )
        )
    return BatchAnnotations(
        batch.number,
        by_size,
        areas,
        batch.skipped,
        batch.image_count,
        batch.annotation_remarks,
        image_concepts,
    )


def _image_concepts(annotations: AnnotationTensors) -> ImageConcepts:
    """Return the concepts of images in memory of their own: that of a batch is used again."""
    images = annotations.images.tolist()
    return ImageConcepts(
        np.array(images, np.int64),
        np.array([annotations.size] * len(images), np.int64).reshape(-1, 2),
        annotations.concept_counts.numpy().copy(),
        annotations.concepts.numpy().copy(),
        annotations.areas.numpy().copy(),
    )
