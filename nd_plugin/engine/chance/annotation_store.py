"""Annotations of many images in a compact form, in memory or beyond a budget in a file."""

from __future__ import annotations

import mmap
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nd_plugin.errors import NotSaved
from nd_plugin.method.annotations import (
    Counts,
    Integers,
    LabelCombinations,
    to_smallest_type,
)
from nd_plugin.receptive_fields.geometry import Size


class StoredLabels(NamedTuple):
    """Labels of one image: the concepts of each pixel, by the pixel's combination of them."""

    combinations: Integers  # (pixel,) index of the pixel's
    # (combination, any number) 1 + index into `concepts`, each at most once; 0 for no label
    slots: Integers
    concepts: Counts  # (concept,) those of the image, ascending

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self)

    def combined(self, size: Size) -> LabelCombinations:
        """Return what was stored, without the areas of the concepts."""
        labels = np.concatenate([np.zeros(1, np.int64), self.concepts + 1])
        return LabelCombinations(
            self.combinations.reshape(size),
            labels[self.slots],
            self.concepts,
            np.zeros_like(self.concepts),
        )


class Place(NamedTuple):
    """Place of an array in the file."""

    offset: int  # bytes
    shape: tuple[int, ...]
    dtype: npt.DTypeLike


@dataclass
class AnnotationStore:
    """Annotations by image: up to ``memory`` bytes in memory, the others in a temporary file."""

    memory: int
    nbytes: int = 0  # of memory
    labels: dict[int, StoredLabels] = field(default_factory=dict)
    places: dict[int, tuple[Place, ...]] = field(default_factory=dict)
    file: IO[bytes] | None = None
    file_length: int = 0
    mapped: mmap.mmap | None = None  # the file, as soon as it is read

    def __contains__(self, image: int) -> bool:
        return image in self.labels or image in self.places

    def add(self, image: int, labels: LabelCombinations) -> None:
        """Store the labels of an image. Raises NotSaved where the disk is full."""
        stored = _compact(labels)
        if self.nbytes + stored.nbytes <= self.memory:
            self.labels[image] = stored
            self.nbytes += stored.nbytes
            return
        try:
            self.places[image] = self._write(stored)
        except OSError as error:
            raise NotSaved(
                "the annotations that are permuted need more room than there is in "
                f"{tempfile.gettempdir()} ({error.strerror or error}): free some space, set "
                "TMPDIR to a folder on a larger disk, or raise --memory"
            ) from error

    def _write(self, stored: StoredLabels) -> tuple[Place, ...]:
        if self.file is None:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115  # see `close`
        places = []
        for array in stored:
            places.append(Place(self.file_length, array.shape, array.dtype))
            self.file.write(np.ascontiguousarray(array).tobytes())
            self.file_length += array.nbytes
        # otherwise each forked process would write the rest, and a full disk would show late
        self.file.flush()
        return tuple(places)

    def of(self, image: int) -> StoredLabels:
        """Return the labels of an image that was stored."""
        stored = self.labels.get(image)
        if stored is None:
            arrays = [self._read(place) for place in self.places[image]]
            stored = StoredLabels(*arrays)
        return stored

    def _read(self, place: Place) -> npt.NDArray[Any]:
        count = int(np.prod(place.shape))
        if not count:
            return np.empty(place.shape, place.dtype)
        array = np.frombuffer(self._map(), place.dtype, count, place.offset)
        return array.reshape(place.shape)

    def _map(self) -> mmap.mmap:
        """Map the file into memory, complete as it is by now: all processes share it."""
        if self.mapped is None:
            assert self.file is not None
            self.mapped = mmap.mmap(
                self.file.fileno(), self.file_length, access=mmap.ACCESS_READ
            )
        return self.mapped

    def close(self) -> None:
        """Close the file, which disappears."""
        if self.mapped is not None:
            # an array still in use keeps the memory, not the file
            with suppress(BufferError):
                self.mapped.close()
        if self.file is not None:
            self.file.close()


def _compact(labels: LabelCombinations) -> StoredLabels:
    """Return labels in the smallest types, with indices into the image's own concepts."""
    slot_of = np.zeros(int(labels.members.max(initial=0)) + 1, np.int64)
    slot_of[labels.concepts + 1] = np.arange(1, len(labels.concepts) + 1)
    return StoredLabels(
        labels.combinations.ravel(),
        to_smallest_type(slot_of[labels.members]),
        labels.concepts,
    )
