"""Batch of the probe data set, and how it comes from the process that has decoded it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.map_checks import forward_pass
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.errors import NDError
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.probe_data.annotation_tensors import (
    TENSORS,
    AnnotationTensors,
    group_by_size,
)
from nd_plugin.probe_data.items import Item, PackedLabels
from nd_plugin.probe_data.packing import PackedTensors, SharedSlots
from nd_plugin.probe_data.remarks import Remarks


class WorkerTraceback(Exception):
    """Traceback of an exception in a worker process, as text."""


@dataclass(frozen=True)
class Batch:
    """Readable images of a batch, and reasons why others were skipped."""

    indices: Tensor  # (image,) int64, into the concept set
    pixels: Tensor  # uint8 (image, channel, row, column)
    # None: not asked for, unreadable, or in `annotations`
    labels: tuple[LabelCombinations | None, ...]
    skipped: tuple[Skipped, ...]
    image_count: int  # images, readable or not
    number: int  # among the batches of the whole probe data set
    # of the first item that is not to be skipped; the first process raises it
    failure: NDError | None = None
    picture_remarks: Remarks = field(default_factory=Remarks)
    annotation_remarks: Remarks = field(default_factory=Remarks)
    # for reports, by image
    small_pictures: Mapping[int, bytes] = field(default_factory=dict)
    packed_labels: Mapping[int, PackedLabels] = field(default_factory=dict)
    # by size of the masks; only if asked for as tensors
    annotations: tuple[AnnotationTensors, ...] = ()
    # whether `annotations` are those of all images that have a readable one
    has_annotation_tensors: bool = False

    @classmethod
    def of(cls, items: Sequence[Item], as_tensors: bool = False) -> Batch:
        """Collate the items of one batch; annotations as tensors, or as they are."""
        readable = [item for item in items if item.readable]
        images = [item.image for item in readable]
        labels = tuple(item.labels for item in readable)
        annotations: tuple[AnnotationTensors, ...] = ()
        if as_tensors:
            annotations = tuple(group_by_size(images, labels))
            labels = (None,) * len(images)
        return cls(
            indices=torch.tensor(images, dtype=torch.int64, device="cpu"),
            pixels=_stack_pixels(readable),
            labels=labels,
            skipped=tuple(
                item.skipped for item in items if item.skipped is not None
            ),
            image_count=len(items),
            number=items[0].batch_number,
            failure=next((item.failure for item in items if item.failure), None),
            picture_remarks=Remarks.total(
                item.picture_remarks for item in readable
            ),
            annotation_remarks=Remarks.total(
                item.annotation_remarks for item in readable
            ),
            small_pictures={
                item.image: item.small_picture
                for item in readable
                if item.small_picture is not None
            },
            packed_labels={
                item.image: item.packed_labels
                for item in readable
                if item.packed_labels is not None
            },
            annotations=annotations,
            has_annotation_tensors=as_tensors,
        )

    def reason_of(self, name: str) -> str:
        """Return the reason why the image of this name was skipped."""
        reasons = {item.image: item.reason for item in self.skipped}
        return reasons.get(name, "unknown reason")

    def forward_pass(
        self, device: torch.device, concepts: ConceptSet
    ) -> AbstractContextManager[None]:
        """Translate what fails in the batch's forward pass, and name the batch.

        Raises ModelFailed for maps that break a probe's contract, RunFailed where ``device`` has
        too little memory.
        """
        return forward_pass(
            device, len(self.indices), partial(self._name, concepts)
        )

    def _name(self, concepts: ConceptSet) -> str:
        """Return the batch's number, from 1 on, and its first image."""
        first = concepts.name(int(self.indices[0]))
        return f"batch {self.number + 1}, of {first} and others"

    def checked(self) -> Batch:
        """Return the batch. Raises the failure of one of its items."""
        if self.failure is None:
            return self
        # a cause does not cross from a worker process, notes do
        notes = getattr(self.failure, "__notes__", ())
        cause = self.failure.__cause__ or WorkerTraceback("".join(notes))
        raise self.failure from cause

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors; pixels as they lie in memory, (image, row, column, channel)."""
        tensors = [self.indices, self.pixels.permute(0, 2, 3, 1)]
        for of_one_size in self.annotations:
            tensors += of_one_size.tensors
        return tensors

    def with_tensors(self, tensors: Sequence[Tensor]) -> Batch:
        """Return the batch with others in the place of its `tensors`."""
        indices, pixels, *annotation_tensors = tensors
        starts = range(0, len(annotation_tensors), TENSORS)
        annotations = [
            AnnotationTensors(*annotation_tensors[start : start + TENSORS])
            for start in starts
        ]
        return replace(
            self,
            indices=indices,
            pixels=pixels.permute(0, 3, 1, 2),
            annotations=tuple(annotations),
        )


@dataclass(frozen=True)
class PackedBatch:
    """Batch whose tensors are packed, as it comes from a worker process."""

    batch: Batch  # with empty tensors
    packed: PackedTensors

    @classmethod
    def of(
        cls, batch: Batch, slots: SharedSlots | None = None, turn: int = 0
    ) -> PackedBatch:
        """Pack the tensors of a batch, whose ``turn`` it is for a slot."""
        packed = PackedTensors.of(batch.tensors, slots, turn)
        # of which no memory is shared
        nothing = torch.empty(0, 0, 0, 0, dtype=torch.uint8, device="cpu")
        return cls(batch.with_tensors([nothing] * len(batch.tensors)), packed)

    def pin_memory(self) -> PackedBatch:
        """Pin the tensors; DataLoader calls this."""
        return replace(self, packed=self.packed.pin_memory())

    def unpack(self) -> Batch:
        """Return the batch with its tensors."""
        return self.batch.with_tensors(self.packed.unpack())


@dataclass(frozen=True)
class Collation:
    """Collation of items to a batch, in the process that has decoded them."""

    as_tensors: bool  # annotations
    numbers: range  # of the batches, in the order in which they are loaded
    slots: SharedSlots | None = None  # of forked worker processes

    def __call__(self, items: Sequence[Item]) -> PackedBatch:
        """Collate the items of one batch; DataLoader calls this."""
        batch = Batch.of(items, self.as_tensors)
        return PackedBatch.of(batch, self.slots, self.numbers.index(batch.number))


def _stack_pixels(items: Sequence[Item]) -> Tensor:
    """Stack the pixels; they stay in memory as they are decoded, channel beside channel."""
    pixels = [item.pixels for item in items if item.pixels is not None]
    if not pixels:
        return torch.empty(0, 3, 1, 1, dtype=torch.uint8, device="cpu")
    decoded = [image.permute(1, 2, 0) for image in pixels]
    return torch.stack(decoded).permute(0, 3, 1, 2)
