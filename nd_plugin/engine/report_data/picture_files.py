"""Small pictures and packed labels of images: those that were collected, the others decoded now."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from nd_plugin.engine.part_run import PartRun
from nd_plugin.engine.report_data.collected import CollectedData
from nd_plugin.foreign_code import describe_error
from nd_plugin.machine.forked_workers import can_fork, map_in_order
from nd_plugin.method.annotations import Counts
from nd_plugin.probe_data.items import ItemDecoder, PackedLabels

STAGE = "pictures"
NO_BATCH = -1  # images are decoded one by one


class PictureFiles(NamedTuple):
    """Small picture and labels of one image; or the reason why there is no picture."""

    picture: bytes
    labels: PackedLabels | None  # None: the annotation cannot be read
    missing: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        label_bytes = len(self.labels.content) if self.labels else 0
        return len(self.picture) + label_bytes


@dataclass
class LayerFiles:
    """Files of a layer's top images, rank by rank."""

    by_image: dict[int, PictureFiles] = field(default_factory=dict)
    complete_ranks: int = 0  # whose images are all in `by_image`


@dataclass(frozen=True)
class FileMaker:
    """Maker of the files of one image after the other."""

    decoder: ItemDecoder
    collected: CollectedData
    unannotated: AbstractSet[
        str
    ]  # names of images whose annotation could not be counted

    def needs_labels(self, image: int) -> bool:
        """Return whether the labels of an image have to be decoded."""
        if image in self.collected.packed_labels:
            return False
        return self.decoder.concepts.name(image) not in self.unannotated

    def has_all(self, image: int) -> bool:
        """Return whether nothing of an image has to be decoded."""
        has_picture = image in self.collected.small_pictures
        return has_picture and not self.needs_labels(image)

    def make(self, image: int) -> PictureFiles:
        """Return what was collected of an image; decode what was not."""
        picture = self.collected.small_pictures.get(image)
        labels = self.collected.packed_labels.get(image)
        if picture is not None and self.has_all(image):
            return PictureFiles(picture, labels)
        decoder = replace(
            self.decoder,
            with_small_pictures=picture is None,
            with_labels=self.needs_labels(image),
            pack_labels_of=frozenset([image]),
        )
        item = decoder[NO_BATCH, image]
        if item.failure is not None:
            raise item.failure
        picture = picture or item.small_picture
        if picture is None:
            reason = item.skipped.reason if item.skipped else "unknown reason"
            return PictureFiles(b"", None, reason)
        return PictureFiles(picture, labels or item.packed_labels)


@dataclass
class FileStream:
    """Files of images in a given order; forked workers decode what was not collected."""

    maker: FileMaker
    decoded: Generator[PictureFiles, None, None]
    failure: str = ""  # of the workers

    def next_files(self, image: int) -> PictureFiles:
        """Return the files of the next image.

        An exception, of a worker that crashed, is the reason why this image and those after it
        have no picture.
        """
        if self.maker.has_all(image):
            return self.maker.make(image)
        if not self.failure:
            try:
                return next(self.decoded)
            except Exception as error:
                self.failure = describe_error(error)
        return PictureFiles(b"", None, self.failure)


def make_files(
    part_run: PartRun,
    images_by_rank: Sequence[Counts],
    budget: int,
    unannotated: AbstractSet[str],
) -> LayerFiles:
    """Make the files of a layer's top images, until they exceed ``budget`` bytes.

    ``images_by_rank`` are those of this process, each image once.
    """
    decoder = part_run.feed.decoder(pictures=False, annotated=True)
    maker = FileMaker(decoder, part_run.report_data, unannotated)
    images = np.concatenate(images_by_rank).tolist()
    to_decode = [image for image in images if not maker.has_all(image)]
    workers = part_run.feed.workers if can_fork() else 0
    files = LayerFiles()
    size = 0
    images_decoded = 0
    with closing(map_in_order(maker.make, to_decode, workers)) as decoded:
        stream = FileStream(maker, decoded)
        for rank, rank_images in enumerate(images_by_rank):
            for image in rank_images.tolist():
                is_collected = maker.has_all(image)
                image_files = stream.next_files(image)
                files.by_image[image] = image_files
                _collect(part_run.report_data, image, image_files)
                if not is_collected:
                    images_decoded += 1
                    part_run.progress(STAGE, images_decoded, len(to_decode))
                    part_run.saver.tick(part_run.state, 0)
                size += image_files.nbytes
                if size > budget:
                    return files
            files.complete_ranks = rank + 1
    return files


def _collect(collected: CollectedData, image: int, files: PictureFiles) -> None:
    """Keep files for the next layers."""
    if files.missing:
        return
    collected.small_pictures[image] = files.picture
    if files.labels is not None:
        collected.packed_labels[image] = files.labels
