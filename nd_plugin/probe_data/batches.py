"""Batches of the probe data set, decoded in worker processes; unreadable items are skipped."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import DataLoader

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.data_files import Contents, Progress, hash_contents
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, Unreadable
from nd_plugin.machine.forked_workers import can_fork
from nd_plugin.machine.termination import ignore_in_worker
from nd_plugin.method.annotations import Counts
from nd_plugin.pictures.pixel_limit import environment_limit
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.batch import Batch, Collation
from nd_plugin.probe_data.grey_sample import GreySample
from nd_plugin.probe_data.items import Item, ItemDecoder, mask_size
from nd_plugin.probe_data.loading import (
    MEMORY,
    default_batch_size,
    whole_number,
)
from nd_plugin.probe_data.packing import SharedSlots, reserve_slots
from nd_plugin.probe_data.parts import WHOLE, Part
from nd_plugin.probe_data.workers import (
    BATCHES_AHEAD,
    LARGEST_DEFAULT,
    ImagesAtWork,
    LoadedBatches,
    WatchedDecoder,
    cores,
    default_workers,
)
from nd_plugin.significance.folds import assign_folds

__all__ = ["Batch", "Batches", "Feed", "batch_bytes", "shuffled"]

Batches = Generator[Batch, None, None]


def batch_bytes(preprocess: Preprocess, batch_size: int) -> int:
    """Estimate the bytes of a batch: its pixels, and annotations of half the images' size."""
    rows, columns = preprocess.size
    bytes_per_pixel = preprocess.channels + 1
    return batch_size * rows * columns * bytes_per_pixel


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
    # bytes for candidates, annotations and work on an accelerator; None: a share of what is free
    device_memory: int | None = None
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
        device_memory: int | None = None,
    ) -> Feed:
        """Create the feed of a model on ``device``; None chooses the defaults of `loading`.

        Raises BadInput for options that are out of range, for more parts than batches, and for more
        folds than images.
        """
        if not isinstance(preprocess, Preprocess):
            raise BadInput(
                "preprocess is a Preprocess(size=…, mean=…, std=…), "
                f"not {type(preprocess).__name__}"
            )
        batch_size = whole_number("batch size", batch_size, 1)
        workers = whole_number("number of workers", workers, 0)
        memory = whole_number("memory", memory, 0)
        device_memory = whole_number("device memory", device_memory, 0)
        # to refuse bad ones before the run
        mask_size(settings, concepts, preprocess.size)
        environment_limit()
        batch_size = batch_size or default_batch_size(device)
        if workers is None:
            workers = default_workers(device, batch_bytes(preprocess, batch_size))
        feed = cls(
            concepts=concepts,
            preprocess=preprocess,
            settings=settings,
            batch_size=batch_size,
            workers=workers,
            memory=MEMORY if memory is None else memory,
            device_memory=device_memory,
            part=part,
            pinned=device.type == "cuda",
        )
        if part.of > len(feed.order):
            raise BadInput(
                f"{part.of} parts are more than the {len(feed.order)} batches of "
                f"{feed.batch_size} images; use fewer shards or processes, or smaller batches"
            )
        # to refuse too many folds before the run
        _ = feed.fold_of
        return feed

    @cached_property
    def set_size(self) -> int:
        """Number of images of the concept set; it has to stay what it was at first."""
        return len(self.concepts)

    @property
    def images(self) -> int:
        """Number of images of the whole probe data set, within the limit of the settings."""
        limit = self.settings.limit
        return self.set_size if limit is None else min(self.set_size, limit)

    def hash_contents(self, progress: Progress) -> Contents:
        """Hash the contents of the images' and masks' files, where the settings ask for it."""
        if not self.settings.verify_data:
            return Contents()
        threads = min(cores(), LARGEST_DEFAULT)
        return hash_contents(self.concepts, self.images, progress, threads)

    @cached_property
    def order(self) -> list[list[int]]:
        """Images of each batch of the whole probe data set, all parts included."""
        images = shuffled(self.images)
        starts = range(0, self.images, self.batch_size)
        return [images[start : start + self.batch_size] for start in starts]

    @cached_property
    def fold_of(self) -> Counts | None:
        """Fold of each image of the whole probe data set, (image,); None without folds."""
        settings = self.settings
        if not settings.folds:
            return None
        return assign_folds(self.images, settings.folds, settings.seed)

    def batch_numbers(self, start: int = 0) -> range:
        """Return the numbers of this part's batches, without the first ``start``."""
        return self.part.batch_numbers(len(self.order))[start:]

    def count_images(self, numbers: Sequence[int]) -> int:
        """Count the images of batches."""
        return sum(len(self.order[number]) for number in numbers)

    def images_from(
        self, start: int, *, annotated: bool = False, small_pictures: bool = False
    ) -> Batches:
        """Load batches with pixels, and annotations as tensors where ``annotated``.

        Under ``strict`` annotations are decoded in any case, to fail early. With
        ``small_pictures``, also these, for reports, and packed labels of annotations.
        """
        with_labels = annotated and small_pictures
        return self.batches(
            annotated=annotated or self.settings.strict,
            as_tensors=annotated,
            start=start,
            small_pictures=small_pictures,
            pack_labels_of=frozenset(range(self.images if with_labels else 0)),
        )

    def batches(
        self,
        *,
        pictures: bool = True,
        annotated: bool,
        as_tensors: bool = False,
        start: int = 0,
        small_pictures: bool = False,
        pack_labels_of: AbstractSet[int] = frozenset(),
    ) -> Batches:
        """Load this part's batches, without the first ``start``.

        ``pictures`` and ``annotated`` choose pixels, annotations or both; ``as_tensors`` has
        workers make tensors of the annotations; ``small_pictures`` and ``pack_labels_of``, images,
        choose what is stored for reports. Worker processes start at once, and end when the caller
        closes the generator that is returned. An unreadable item raises Unreadable under
        ``strict``; a crashed worker raises ProcessLost, too little memory for an image RunFailed;
        a concept set that does not keep its contract raises ConceptSetInvalid or PluginFailed.
        """
        decoder = replace(
            self.decoder(pictures, annotated),
            with_small_pictures=small_pictures,
            pack_labels_of=pack_labels_of,
        )
        numbers = self.batch_numbers(start)
        workers = min(self.workers, len(numbers))
        slots = self._reserve_slots(workers)
        at_work = ImagesAtWork(workers) if slots is not None else None
        loader: DataLoader[Item] = DataLoader(
            decoder if at_work is None else WatchedDecoder(decoder, at_work),
            batch_sampler=[self._positions(number) for number in numbers],
            num_workers=workers,
            prefetch_factor=BATCHES_AHEAD if workers else None,
            collate_fn=Collation(as_tensors, numbers, slots),
            # for its seed: the caller's random state stays
            generator=torch.Generator("cpu"),
            pin_memory=self.pinned,
            worker_init_fn=ignore_in_worker,
        )
        with torch.device("cpu"):
            # not the caller's default device
            loaded = LoadedBatches(loader, at_work, self.concepts.name)
        return self._checked_batches(loaded)

    def _reserve_slots(self, workers: int) -> SharedSlots | None:
        """Reserve a slot for every batch that workers may be ahead, and one that is copied."""
        if not workers or not can_fork():
            return None
        # annotations may be larger than estimated; what is not written takes no memory
        nbytes = 2 * batch_bytes(self.preprocess, self.batch_size)
        return reserve_slots(workers * BATCHES_AHEAD + 1, nbytes)

    def _checked_batches(self, loaded: LoadedBatches) -> Batches:
        with closing(loaded):
            for packed in loaded:
                yield self.check_strict(packed.unpack().checked())

    def annotations(
        self, number: int, pack_labels_of: AbstractSet[int] = frozenset()
    ) -> Batch:
        """Decode one batch, annotations only, in this process.

        The labels of the images ``pack_labels_of`` are packed too, for reports.
        """
        decoder = self.decoder(pictures=False, annotated=True)
        decoder = replace(decoder, pack_labels_of=pack_labels_of)
        items = [decoder[position] for position in self._positions(number)]
        return Batch.of(items).checked()

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
            self.settings.strict,
            self.set_size,
        )

    def _positions(self, number: int) -> list[tuple[int, int]]:
        """Return the positions of a batch's items, as `ItemDecoder` is indexed by."""
        return [(number, image) for image in self.order[number]]
