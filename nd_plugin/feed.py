"""The probe data set as batches: decoded in worker processes, what cannot be read named and left out."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nd_plugin.errors import BadInput, RunFailed, Unreadable
from nd_plugin.geometry import Size
from nd_plugin.preprocess import Preprocess
from nd_plugin.tally import dense
from nd_plugin.types import ConceptSet, Settings, Skipped

MEMORY = 2**30  # bytes for candidates, unless told otherwise


@dataclass(frozen=True)
class Item:
    """One image as a worker hands it over."""

    index: int
    pixels: Tensor | None = None  # uint8 (3, row, column)
    planes: npt.NDArray[np.int32] | None = None  # (plane, row, column) at the size of the masks
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class Batch:
    """The readable images among a few consecutive ones."""

    indices: Tensor  # (image,) int64, into the concept set
    pixels: Tensor  # uint8 (image, 3, row, column)
    planes: tuple[npt.NDArray[np.int32] | None, ...]  # None where they were not asked for or cannot be read
    skipped: tuple[Skipped, ...]
    seen: int  # images, readable or not


def mask_size(settings: Settings, concepts: ConceptSet, image: Size) -> Size | None:
    """The size at which masks are compared; None: each at its own size."""
    wanted = settings.mask_size
    if wanted == "auto":
        return None if concepts.native_masks else half(image)
    return None if wanted == "native" else parse_size(wanted, "mask size", "auto, native, N or HxW")


def half(size: Size) -> Size:
    """Half a size: that of the masks, where they have none of their own to keep."""
    return max(size[0] // 2, 1), max(size[1] // 2, 1)


def parse_size(text: str, what: str, forms: str = "N or HxW") -> Size:
    """``"224"`` or ``"224x192"`` (height x width)."""
    parts = text.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadInput(f"{what} {text!r} is not {forms} in pixels")
    return int(parts[0]), int(parts[-1])


@dataclass(frozen=True)
class _Items(Dataset[Item]):
    concepts: ConceptSet
    preprocess: Preprocess
    count: int
    masks: Size | None
    pictures: bool
    annotated: bool

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Item:
        try:
            pixels = self.preprocess.resize(self.concepts.image(index)) if self.pictures else None
        except Exception as error:  # whatever a decoder raises: the image is named and skipped
            return Item(index, skipped=(self._skipped(index, "image", error),))
        try:
            planes = self._planes(index) if self.annotated else None
        except Exception as error:  # likewise
            return Item(index, pixels, skipped=(self._skipped(index, "annotation", error),))
        return Item(index, pixels, planes)

    def _planes(self, index: int) -> npt.NDArray[np.int32]:
        found = self.concepts.annotation(index)
        size = self.masks or found.size or (found.planes[0].shape if len(found.planes) else half(self.preprocess.size))
        most = len(self.concepts.concepts)
        for values in (*(np.asarray(plane) for plane in found.planes), np.array(found.labels, dtype=np.int64)):
            low, high = int(values.min(initial=0)), int(values.max(initial=0))
            if low < 0 or high > most:
                raise ValueError(f"label {low if low < 0 else high} is outside the vocabulary of {most} concepts")
        return dense(found, size)

    def _skipped(self, index: int, part: str, error: Exception) -> Skipped:
        return Skipped(self.concepts.name(index), part, str(error) or type(error).__name__)


def _together(items: Sequence[Item]) -> Batch:
    read = [item for item in items if all(skipped.part != "image" for skipped in item.skipped)]
    pixels = [item.pixels for item in read if item.pixels is not None]
    return Batch(
        indices=torch.tensor([item.index for item in read], dtype=torch.int64, device="cpu"),
        pixels=torch.stack(pixels) if pixels else torch.empty(0, 3, 1, 1, dtype=torch.uint8, device="cpu"),
        planes=tuple(item.planes for item in read),
        skipped=tuple(skipped for item in items for skipped in item.skipped),
        seen=len(items),
    )


def _translated(loader: DataLoader[Item]) -> Iterator[Batch]:
    try:
        with torch.device("cpu"):  # whatever the caller's default device is
            batches = iter(loader)
        yield from batches
    except RuntimeError as error:
        if "DataLoader worker" not in str(error) and "bootstrapping phase" not in str(error):
            raise
        raise RunFailed(
            f"a process that decodes images died ({str(error).strip().partition(chr(10))[0]}): out of memory, or too "
            "little shared memory (/dev/shm); use fewer workers, or none: workers=0, --workers 0"
        ) from error


def default_batch_size(device: torch.device) -> int:
    """Small on the CPU, where large activations cost page faults; large where they fill the device."""
    return 8 if device.type == "cpu" else 64


def default_workers() -> int:
    """One process fewer than there are cores, four at the most; none where processes do not start by forking.

    Started otherwise they would run the caller's script again, which a script without a main guard does not survive.
    """
    if multiprocessing.get_start_method() == "spawn":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores - 1, 4)


@dataclass(frozen=True)
class Feed:
    """Batches of one concept set for one model; iterate as often as needed, the batches are the same each time."""

    concepts: ConceptSet
    preprocess: Preprocess
    settings: Settings
    batch_size: int
    workers: int
    memory: int = MEMORY  # bytes for candidates

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
    ) -> Feed:
        """For a model on ``device``; None for batch size or workers chooses by device and cores."""
        if not isinstance(preprocess, Preprocess):
            raise BadInput(f"preprocess is a Preprocess(size=…, mean=…, std=…), not {type(preprocess).__name__}")
        for name, value, least in (
            ("batch size", batch_size, 1),
            ("number of workers", workers, 0),
            ("memory", memory, 0),
        ):
            if value is not None and value < least:
                raise BadInput(f"the {name} {value} is less than {least}")
        mask_size(settings, concepts, preprocess.size)  # refused before anything runs
        return cls(
            concepts,
            preprocess,
            settings,
            batch_size or default_batch_size(device),
            default_workers() if workers is None else workers,
            MEMORY if memory is None else memory,
        )

    @property
    def images(self) -> int:
        """How many images are looked at."""
        whole = len(self.concepts)
        return whole if self.settings.limit is None else min(whole, self.settings.limit)

    def batches(self, *, pictures: bool = True, annotated: bool) -> Iterator[Batch]:
        """All batches, with pixels, annotations or both; under ``strict`` an unreadable item raises Unreadable."""
        masks = mask_size(self.settings, self.concepts, self.preprocess.size)
        items = _Items(self.concepts, self.preprocess, self.images, masks, pictures, annotated)
        own = torch.Generator("cpu")  # the loader draws a seed: not from the caller's random state
        loader = DataLoader(items, self.batch_size, num_workers=self.workers, collate_fn=_together, generator=own)
        for batch in _translated(loader):
            if self.settings.strict and batch.skipped:
                first = batch.skipped[0]
                raise Unreadable(f"the {first.part} of {first.image} cannot be read: {first.reason}")
            yield batch
