"""Batches of the probe data set, decoded in worker processes; unreadable items are skipped."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.provenance import Settings, Skipped
from nd_plugin.errors import BadInput, RunFailed, Unreadable
from nd_plugin.machine.termination import ignore_in_worker
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.pictures.pixel_limit import environment_limit
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.grey_sample import GreySample
from nd_plugin.probe_data.items import Item, ItemDecoder, PackedLabels, mask_size
from nd_plugin.probe_data.loading import (
    MEMORY,
    default_batch_size,
    default_workers,
    whole_number,
)
from nd_plugin.probe_data.parts import WHOLE, Part
from nd_plugin.probe_data.remarks import Remarks

Batches = Generator["Batch", None, None]


@dataclass(frozen=True)
class Batch:
    """Readable images of a batch, and reasons why others were skipped."""

    indices: Tensor  # (image,) int64, into the concept set
    pixels: Tensor  # uint8 (image, channel, row, column)
    # None: not asked for, or unreadable
    labels: tuple[LabelCombinations | None, ...]
    skipped: tuple[Skipped, ...]
    image_count: int  # images, readable or not
    number: int  # among the batches of the whole probe data set
    picture_remarks: Remarks = field(default_factory=Remarks)
    annotation_remarks: Remarks = field(default_factory=Remarks)
    # for reports, by image
    small_pictures: Mapping[int, bytes] = field(default_factory=dict)
    packed_labels: Mapping[int, PackedLabels] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Sequence[Item]) -> Batch:
        """Collate the items of one batch."""
        readable = [item for item in items if item.readable]
        images = [item.image for item in readable]
        return cls(
            indices=torch.tensor(images, dtype=torch.int64, device="cpu"),
            pixels=_stack_pixels(readable),
            labels=tuple(item.labels for item in readable),
            skipped=tuple(
                item.skipped for item in items if item.skipped is not None
            ),
            image_count=len(items),
            number=items[0].batch_number,
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
        )

    def pin_memory(self) -> Batch:
        """Pin the pixels, so that a GPU copies them while it computes; DataLoader calls this."""
        return replace(self, pixels=self.pixels.pin_memory())


def _stack_pixels(items: Sequence[Item]) -> Tensor:
    pixels = [item.pixels for item in items if item.pixels is not None]
    if not pixels:
        return torch.empty(0, 3, 1, 1, dtype=torch.uint8, device="cpu")
    return torch.stack(pixels)


@contextmanager
def _worker_crashes_translated() -> Iterator[None]:
    """Translate DataLoader's errors about its worker processes to RunFailed."""
    try:
        yield
    except RuntimeError as error:
        message = str(error).strip()
        if (
            "DataLoader worker" not in message
            and "bootstrapping phase" not in message
        ):
            raise
        raise RunFailed(
            f"a data-loading worker crashed ({message.splitlines()[0]}): out of memory, or too "
            "little shared memory (/dev/shm); use fewer workers, or none: workers=0, --workers 0"
        ) from error


def shuffled(count: int) -> list[int]:
    """Return 0 to ``count`` - 1 in a random order: always the same, as RandomState is frozen."""
    order: list[int] = np.random.RandomState(0).permutation(count).tolist()
    return order


@dataclass(frozen=True)
class Feed:
    """Batches of one part of a concept set, preprocessed for one model; the same at each iteration.

    Images come in a random order, which depends on their number only. Images of any first batches,
    and of any part, are therefore a random sample of all images, as `lower_bound.LowerBound` needs.
    """

    concepts: ConceptSet
    preprocess: Preprocess
    settings: Settings
    batch_size: int
    workers: int
    memory: int = MEMORY  # bytes for candidates
    part: Part = WHOLE
    pinned: bool = field(default=False, compare=False)  # for a GPU

    @classmethod
    def of(
        cls,
        concepts: ConceptSet,
        preprocess: Preprocess,
        settings: Settings,
        device: torch.device,
        batch_size: int | None = None,
        workers: int | None = None,
        memory: int | None = None,
        part: Part = WHOLE,
    ) -> Feed:
        """Create the feed of a model on ``device``; None chooses the defaults of `loading`.

        Raises BadInput for options that are out of range, and for more parts than batches.
        """
        if not isinstance(preprocess, Preprocess):
            raise BadInput(
                "preprocess is a Preprocess(size=…, mean=…, std=…), "
                f"not {type(preprocess).__name__}"
            )
        batch_size = whole_number("batch size", batch_size, 1)
        workers = whole_number("number of workers", workers, 0)
        memory = whole_number("memory", memory, 0)
        # to refuse bad ones before the run
        mask_size(settings, concepts, preprocess.size)
        environment_limit()
        feed = cls(
            concepts=concepts,
            preprocess=preprocess,
            settings=settings,
            batch_size=batch_size or default_batch_size(device),
            workers=default_workers() if workers is None else workers,
            memory=MEMORY if memory is None else memory,
            part=part,
            pinned=device.type == "cuda",
        )
        if part.of > len(feed.order):
            raise BadInput(
                f"{part.of} parts are more than the {len(feed.order)} batches of "
                f"{feed.batch_size} images; use fewer shards or processes, or smaller batches"
            )
        return feed

    @property
    def images(self) -> int:
        """Number of images of the whole probe data set, within the limit of the settings."""
        count = len(self.concepts)
        limit = self.settings.limit
        return count if limit is None else min(count, limit)

    @cached_property
    def order(self) -> list[list[int]]:
        """Images of each batch of the whole probe data set, all parts included."""
        images = shuffled(self.images)
        starts = range(0, self.images, self.batch_size)
        return [images[start : start + self.batch_size] for start in starts]

    def batch_numbers(self, start: int = 0) -> range:
        """Return the numbers of this part's batches, without the first ``start``."""
        return self.part.batch_numbers(len(self.order))[start:]

    def count_images(self, numbers: Sequence[int]) -> int:
        """Count the images of batches."""
        return sum(len(self.order[number]) for number in numbers)

    def images_from(self, start: int, *, small_pictures: bool = False) -> Batches:
        """Load batches with pixels; under ``strict`` also annotations, to fail early.

        With ``small_pictures``, also these, for reports.
        """
        return self.batches(
            annotated=self.settings.strict,
            start=start,
            small_pictures=small_pictures,
        )

    def batches(
        self,
        *,
        pictures: bool = True,
        annotated: bool,
        start: int = 0,
        small_pictures: bool = False,
        pack_labels_of: AbstractSet[int] = frozenset(),
    ) -> Batches:
        """Load this part's batches, without the first ``start``.

        ``pictures`` and ``annotated`` choose pixels, annotations or both; ``small_pictures`` and
        ``pack_labels_of``, images, what is stored for reports. Worker processes start at once, and
        end when the caller closes the generator that is returned. An unreadable item raises
        Unreadable under ``strict``; a crashed worker raises RunFailed.
        """
        decoder = replace(
            self.decoder(pictures, annotated),
            with_small_pictures=small_pictures,
            pack_labels_of=pack_labels_of,
        )
        numbers = self.batch_numbers(start)
        loader = DataLoader(
            decoder,
            batch_sampler=[self._positions(number) for number in numbers],
            num_workers=min(self.workers, len(numbers)),
            collate_fn=Batch.of,
            # for its seed: the caller's random state stays
            generator=torch.Generator("cpu"),
            pin_memory=self.pinned,
            worker_init_fn=ignore_in_worker,
        )
        with _worker_crashes_translated(), torch.device("cpu"):
            # not the caller's default device
            return self._checked_batches(iter(loader))

    def _checked_batches(self, batches: Iterator[Batch]) -> Batches:
        with _worker_crashes_translated():
            yield from map(self.check_strict, batches)

    def annotations(
        self, number: int, pack_labels_of: AbstractSet[int] = frozenset()
    ) -> Batch:
        """Decode one batch, annotations only, in this process.

        The labels of the images ``pack_labels_of`` are packed too, for reports.
        """
        decoder = self.decoder(pictures=False, annotated=True)
        decoder = replace(decoder, pack_labels_of=pack_labels_of)
        return Batch.of([decoder[position] for position in self._positions(number)])

    def check_strict(self, batch: Batch) -> Batch:
        """Return the batch. Raises Unreadable for an unreadable item under ``strict``."""
        if self.settings.strict and batch.skipped:
            first = batch.skipped[0]
            raise Unreadable(
                f"the {first.part} of {first.image} cannot be read: {first.reason}"
            )
        return batch

    def decoder(self, pictures: bool, annotated: bool) -> ItemDecoder:
        """Return the decoder of pixels, annotations or both."""
        size = mask_size(self.settings, self.concepts, self.preprocess.size)
        return ItemDecoder(
            self.concepts,
            self.preprocess,
            size,
            pictures,
            annotated,
            GreySample(self.concepts),
            self.settings.max_pixels,
        )

    def _positions(self, number: int) -> list[tuple[int, int]]:
        """Return the positions of a batch's items, as `ItemDecoder` is indexed by."""
        return [(number, image) for image in self.order[number]]
