"""The probe data set as batches: decoded in worker processes, what cannot be read named and left out."""

from __future__ import annotations

import operator
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.provenance import Settings, Skipped
from nd_plugin.errors import BadInput, RunFailed, Unreadable
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.preprocess import Preprocess, parse_size
from nd_plugin.probe_data.loading import MEMORY, default_batch_size, default_workers
from nd_plugin.probe_data.parts import WHOLE, Part
from nd_plugin.receptive_fields.geometry import Size

Batches = Generator["Batch", None, None]


@dataclass(frozen=True)
class Item:
    """One image as a worker hands it over."""

    number: int  # of its batch
    index: int
    pixels: Tensor | None = None  # uint8 (3, row, column)
    labels: LabelCombinations | None = None  # at the size of the masks
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class Batch:
    """The readable images among a few."""

    indices: Tensor  # (image,) int64, into the concept set
    pixels: Tensor  # uint8 (image, 3, row, column)
    labels: tuple[
        LabelCombinations | None, ...
    ]  # None where they were not asked for or cannot be read
    skipped: tuple[Skipped, ...]
    seen: int  # images, readable or not
    number: int  # among the batches of the whole probe data set

    def pin_memory(self) -> Batch:
        """In memory from which a GPU copies while it computes; the loader calls this."""
        return replace(self, pixels=self.pixels.pin_memory())


def mask_size(settings: Settings, concepts: ConceptSet, image: Size) -> Size | None:
    """The size at which masks are compared; None: each at its own size."""
    wanted = settings.mask_size
    if wanted == "auto":
        return None if concepts.native_masks else half(image)
    return (
        None
        if wanted == "native"
        else parse_size(wanted, "mask size", "auto, native, N or HxW")
    )


def half(size: Size) -> Size:
    """Half a size: that of the masks, where they have none of their own to keep."""
    return max(size[0] // 2, 1), max(size[1] // 2, 1)


def _whole_number(name: str, value: Any, least: int) -> int | None:
    """The value as a plain number, if there is one. Raises BadInput."""
    if value is None:
        return None
    try:
        number = (
            int(value)
            if isinstance(value, float) and value.is_integer()
            else operator.index(value)
        )
    except TypeError as error:
        raise BadInput(f"the {name} {value!r} is no whole number") from error
    if number < least:
        raise BadInput(f"the {name} {value} is less than {least}")
    return number


@dataclass(frozen=True)
class _Items(Dataset[Item]):
    concepts: ConceptSet
    preprocess: Preprocess
    masks: Size | None
    pictures: bool
    annotated: bool

    def __getitem__(self, place: tuple[int, int]) -> Item:
        number, index = place
        try:
            pixels = (
                self.preprocess.resize(self.concepts.image(index))
                if self.pictures
                else None
            )
        except (
            Exception
        ) as error:  # whatever a decoder raises: the image is named and skipped
            return Item(number, index, skipped=(self._skipped(index, "image", error),))
        try:
            labels = self._labels(index) if self.annotated else None
        except Exception as error:  # likewise
            return Item(
                number,
                index,
                pixels,
                skipped=(self._skipped(index, "annotation", error),),
            )
        return Item(number, index, pixels, labels)

    def _labels(self, index: int) -> LabelCombinations:
        found = self.concepts.annotation(index)
        size = (
            self.masks
            or found.size
            or (
                found.planes[0].shape
                if len(found.planes)
                else half(self.preprocess.size)
            )
        )
        most = len(self.concepts.concepts)
        for values in (
            *(np.asarray(plane) for plane in found.planes),
            np.array(found.labels, dtype=np.int64),
        ):
            low, high = int(values.min(initial=0)), int(values.max(initial=0))
            if low < 0 or high > most:
                raise ValueError(
                    f"label {low if low < 0 else high} is outside the vocabulary of {most} concepts"
                )
        return LabelCombinations.of(found, size)

    def _skipped(self, index: int, part: str, error: Exception) -> Skipped:
        return Skipped(
            self.concepts.name(index), part, str(error) or type(error).__name__
        )


def _together(items: Sequence[Item]) -> Batch:
    read = [
        item
        for item in items
        if all(skipped.part != "image" for skipped in item.skipped)
    ]
    pixels = [item.pixels for item in read if item.pixels is not None]
    return Batch(
        indices=torch.tensor(
            [item.index for item in read], dtype=torch.int64, device="cpu"
        ),
        pixels=torch.stack(pixels)
        if pixels
        else torch.empty(0, 3, 1, 1, dtype=torch.uint8, device="cpu"),
        labels=tuple(item.labels for item in read),
        skipped=tuple(skipped for item in items for skipped in item.skipped),
        seen=len(items),
        number=items[0].number,
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error) and "bootstrapping phase" not in str(
            error
        ):
            raise
        raise RunFailed(
            f"a process that decodes images died ({str(error).strip().partition(chr(10))[0]}): out of memory, or too "
            "little shared memory (/dev/shm); use fewer workers, or none: workers=0, --workers 0"
        ) from error


def shuffled(count: int) -> list[int]:
    """The numbers below ``count`` in an order that is random and always the same (NumPy has frozen RandomState)."""
    order: list[int] = np.random.RandomState(0).permutation(count).tolist()
    return order


@dataclass(frozen=True)
class Feed:
    """Batches of one concept set for one model; iterate as often as needed, the batches are the same each time.

    The images come in random order, the same one for a given number of images: what has been seen at any moment is
    then a fair sample of the whole (`quantile.LowerBound`), and so is every part.
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
        """For a model on ``device``; None for batch size or workers chooses by device and cores."""
        if not isinstance(preprocess, Preprocess):
            raise BadInput(
                f"preprocess is a Preprocess(size=…, mean=…, std=…), not {type(preprocess).__name__}"
            )
        batch_size = _whole_number("batch size", batch_size, 1)
        workers = _whole_number("number of workers", workers, 0)
        memory = _whole_number("memory", memory, 0)
        mask_size(settings, concepts, preprocess.size)  # refused before anything runs
        feed = cls(
            concepts,
            preprocess,
            settings,
            batch_size or default_batch_size(device),
            default_workers() if workers is None else workers,
            MEMORY if memory is None else memory,
            part,
            device.type == "cuda",
        )
        if part.of > len(feed.order):
            raise BadInput(
                f"{part.of} parts are more than the {len(feed.order)} batches of {feed.batch_size} images"
            )
        return feed

    @property
    def images(self) -> int:
        """How many images the probe data set has, as far as it is looked at."""
        whole = len(self.concepts)
        return whole if self.settings.limit is None else min(whole, self.settings.limit)

    @cached_property
    def order(self) -> list[list[int]]:
        """The images of every batch of the probe data set, those of other parts too."""
        images = shuffled(self.images)
        return [
            images[start : start + self.batch_size]
            for start in range(0, self.images, self.batch_size)
        ]

    def numbers(self, start: int = 0) -> range:
        """The numbers of this part's batches, without the first ``start``."""
        return range(self.part.index, len(self.order), self.part.of)[start:]

    def seen(self, numbers: Sequence[int]) -> int:
        """How many images these batches have."""
        return sum(len(self.order[number]) for number in numbers)

    def images_from(self, start: int) -> Batches:
        """The batches with pixels; under ``strict`` with annotations, so that a bad one stops the run now."""
        return self.batches(annotated=self.settings.strict, start=start)

    def batches(
        self, *, pictures: bool = True, annotated: bool, start: int = 0
    ) -> Batches:
        """The part's batches, with pixels, annotations or both, without the first ``start``: a generator, to be closed.

        The processes that decode them begin at once. Under ``strict`` an unreadable item raises Unreadable.
        """
        numbers = self.numbers(start)
        loader = DataLoader(
            self._items(pictures, annotated),
            batch_sampler=[self._places(number) for number in numbers],
            num_workers=min(self.workers, len(numbers)),
            collate_fn=_together,
            generator=torch.Generator(
                "cpu"
            ),  # the loader draws a seed: not from the caller's random state
            pin_memory=self.pinned,
        )
        with (
            _translated(),
            torch.device("cpu"),
        ):  # whatever the caller's default device is
            return self._checked(iter(loader))

    def _checked(self, batches: Iterator[Batch]) -> Batches:
        with _translated():
            yield from map(self.checked, batches)

    def annotations(self, number: int) -> Batch:
        """One batch with annotations alone, decoded here."""
        items = self._items(pictures=False, annotated=True)
        return _together([items[place] for place in self._places(number)])

    def checked(self, batch: Batch) -> Batch:
        """The batch. Under ``strict`` an unreadable item raises Unreadable."""
        if self.settings.strict and batch.skipped:
            first = batch.skipped[0]
            raise Unreadable(
                f"the {first.part} of {first.image} cannot be read: {first.reason}"
            )
        return batch

    def _items(self, pictures: bool, annotated: bool) -> _Items:
        masks = mask_size(self.settings, self.concepts, self.preprocess.size)
        return _Items(self.concepts, self.preprocess, masks, pictures, annotated)

    def _places(self, number: int) -> list[tuple[int, int]]:
        return [(number, image) for image in self.order[number]]
