"""Annotations as combinations of labels: the L_c of one image, ready to be counted.

Everything is an integer, so that sums do not depend on their order.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.receptive_fields.geometry import Size

Counts = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer[Any]]

# larger annotations are worked on in strips: 8 bytes a pixel, several times
PIXELS_AT_ONCE = 2**22
LONG_TABLE = 3  # entries for each pixel
# of packed labels: rows, columns; combinations, labels of each; bytes of a pixel's number
PACKED_HEADER = struct.Struct("<5I")
MOST_PACKED_BYTES = 2**28  # of packed labels, unpacked
MOST_LABELS = 2**22  # a table has a place for each label up to the largest
PACKED_LEVEL = 3  # of deflate: the next one takes twice as long for 5 % fewer bytes
PIXEL_TYPES = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}


@dataclass(frozen=True)
class LabelCombinations:
    """Labels of one image at the size of the masks: the set of concepts that each pixel carries.

    Pixels with the same set share a number, so that a pixel is counted once, however many planes
    there are, and a concept that occurs in several planes of a pixel is counted once too.
    """

    combinations: Integers  # (row, column), index of the pixel's; smallest type
    members: Counts  # (combination, any number), 1 + concept, each at most once; 0 for no label
    concepts: Counts  # (concept,) that have a pixel, ascending
    areas: Counts  # (concept,) |L_c| of `concepts`, pixels

    @classmethod
    def of(cls, annotation: Annotation, size: Size) -> LabelCombinations:
        """Resize an annotation by nearest neighbours and number its combinations of labels.

        Plain version: the combination of a pixel is the set ``{*annotation.labels, *(plane[pixel]
        for plane in planes)}``. Here it grows plane by plane.

        Raises ValueError for a plane that is not (row, column).
        """
        is_large = size[0] * size[1] > PIXELS_AT_ONCE
        combine = _combine_strips if is_large else _combine_labels
        combinations, members = combine(annotation, size)
        _clear_repeated(members)
        return cls.counted(combinations, members)

    @classmethod
    def counted(cls, combinations: Integers, members: Counts) -> LabelCombinations:
        """Count the pixels of each concept.

        ``combinations`` (row, column) are indices into ``members``, sorted and without repetition.
        """
        pixels = _count_pixels(combinations, len(members))
        labels, areas = _areas_of_labels(members, pixels)
        is_concept = (labels > 0) & (areas > 0)  # label 0 is no concept
        return cls(
            to_smallest_type(combinations),
            members,
            labels[is_concept] - 1,
            areas[is_concept],
        )

    def pack(self) -> bytes:
        """Pack the labels for a file: header, members and combinations, deflated."""
        pixels = self.combinations
        itemsize = pixels.dtype.itemsize
        header = PACKED_HEADER.pack(*pixels.shape, *self.members.shape, itemsize)
        members = self.members.astype("<i4").tobytes()
        content = header + members + pixels.astype(PIXEL_TYPES[itemsize]).tobytes()
        return zlib.compress(content, PACKED_LEVEL)

    @classmethod
    def unpack(cls, packed: bytes) -> LabelCombinations:
        """Unpack what `pack` has packed. Raises ValueError or zlib.error for other bytes."""
        stream = zlib.decompressobj()
        header = stream.decompress(packed, PACKED_HEADER.size)
        if len(header) < PACKED_HEADER.size:
            raise ValueError("the header of the labels is cut off")
        rows, columns, combinations, labels, itemsize = PACKED_HEADER.unpack(header)
        if itemsize not in PIXEL_TYPES:
            raise ValueError(f"the labels have pixels of {itemsize} bytes")
        members_bytes = 4 * combinations * labels
        size = members_bytes + itemsize * rows * columns
        if size > MOST_PACKED_BYTES:
            raise ValueError(f"the labels claim {size} bytes")
        # a byte more shows whether there is more
        content = stream.decompress(stream.unconsumed_tail, size + 1)
        if len(content) != size or not stream.eof:
            raise ValueError("the labels are not as long as their header says")
        members = np.frombuffer(content[:members_bytes], "<i4")
        pixels = np.frombuffer(content[members_bytes:], PIXEL_TYPES[itemsize])
        is_known = (
            0 <= members.min(initial=0) <= members.max(initial=0) < MOST_LABELS
        )
        if int(pixels.max(initial=0)) >= combinations or not is_known:
            raise ValueError(
                "a label or the number of a combination is out of range"
            )
        return cls.counted(
            pixels.reshape(rows, columns).astype(np.int64),
            members.reshape(combinations, labels).astype(np.int64),
        )

    @property
    def size(self) -> Size:
        """Rows and columns of the masks."""
        rows, columns = self.combinations.shape
        return int(rows), int(columns)


def _combine_strips(annotation: Annotation, size: Size) -> tuple[Integers, Counts]:
    """Do what `_combine_labels` does for a large size, strip of rows by strip of rows.

    The combinations of all strips are numbered in the order of those of the whole. So the work on
    8 byte integers takes memory for a strip, and the result has the smallest type.
    """
    source_rows = _rows_of_planes(annotation, size)
    strips = _strips(size)
    parts = []
    for strip in strips:
        planes = [
            np.asarray(plane)[indices[strip]]
            for plane, indices in zip(annotation.planes, source_rows, strict=True)
        ]
        strip_size = (strip.stop - strip.start, size[1])
        part, members = _combine_labels(
            Annotation(planes, annotation.labels), strip_size
        )
        parts.append((to_smallest_type(part), members))
    all_members = np.concatenate([members for _, members in parts])
    distinct, numbers = np.unique(all_members, axis=0, return_inverse=True)
    number_of = to_smallest_type(numbers.reshape(-1))
    combinations = np.empty(size, number_of.dtype)
    start = 0
    for strip, (strip_part, strip_members) in zip(strips, parts, strict=True):
        end = start + len(strip_members)
        combinations[strip] = number_of[start:end].take(strip_part)
        start = end
    return combinations, distinct


def _rows_of_planes(annotation: Annotation, size: Size) -> list[Counts]:
    """Return the source row of each target row, for each plane. Raises ValueError."""
    indices = []
    for plane in annotation.planes:
        check_plane(plane)
        indices.append(nearest_indices(np.shape(plane)[0], size[0]))
    return indices


def _strips(size: Size) -> list[slice]:
    rows, columns = size
    height = max(PIXELS_AT_ONCE // columns, 1)
    return [
        slice(start, min(start + height, rows)) for start in range(0, rows, height)
    ]


def _count_pixels(combinations: Integers, count: int) -> Counts:
    """Count the pixels of each of ``count`` combinations; as 8 byte integers, strip by strip."""
    pixels = np.zeros(count, np.int64)
    for strip in _strips(combinations.shape):
        pixels += np.bincount(combinations[strip].ravel(), minlength=count)
    return pixels


def _combine_labels(annotation: Annotation, size: Size) -> tuple[Counts, Counts]:
    """Number the combinations of labels: (row, column) indices into members (combination, label).

    Every pixel begins with the labels of the image; each plane splits the combinations further.
    """
    combinations = np.zeros(size, np.int64)
    members = np.array([annotation.labels], np.int64).reshape(1, -1)
    for plane in annotation.planes:
        check_plane(plane)
        plane_labels = resize_plane(np.asarray(plane), size).astype(np.int64)
        labels, indices = _number_if_many(plane_labels, len(members))
        pairs, combinations = _number_distinct(combinations * len(labels) + indices)
        old_combinations = pairs // len(labels)
        new_labels = labels[pairs % len(labels)]
        members = np.column_stack([members[old_combinations], new_labels])
    return combinations, members


def _number_if_many(
    plane_labels: Counts, combination_count: int
) -> tuple[Counts, Counts]:
    """Return labels, ascending, among them all of the plane, and each pixel's index among them.

    They are those that occur, or else all up to the largest: where tables over their pairs with
    combinations are short, the pass over the plane that finds those takes longer than it saves.
    """
    label_count = int(plane_labels.max()) + 1
    if label_count * combination_count > LONG_TABLE * plane_labels.size:
        return _number_distinct(plane_labels)
    return np.arange(label_count), plane_labels


def check_plane(plane: Integers) -> None:
    """Raise ValueError for a plane that is not (row, column), or empty."""
    if np.ndim(plane) != 2 or np.size(plane) == 0:
        raise ValueError(
            f"annotation plane has shape {np.shape(plane)}; expected (row, column), not empty"
        )


def _clear_repeated(members: Counts) -> None:
    """Sort the labels of each combination and set repeated ones to 0, in place."""
    members.sort(axis=1)
    is_repeated = members[:, 1:] == members[:, :-1]
    members[:, 1:][is_repeated] = 0


def _areas_of_labels(members: Counts, pixels: Counts) -> tuple[Counts, Counts]:
    """Return the labels that occur, ascending, and the pixels of each: both (label,).

    ``pixels`` are those of each combination, (combination,). `bincount` adds in float64, which is
    exact for numbers of pixels.
    """
    labels, indices = _number_distinct(members)
    pixels_of_members = np.repeat(pixels, members.shape[1])
    areas = np.bincount(indices.ravel(), pixels_of_members)
    return labels, areas.astype(np.int64)


def to_smallest_type(values: Integers) -> Integers:
    """Convert ``values``, none of them negative, to the smallest integer type that holds them."""
    return values.astype(np.min_scalar_type(values.max(initial=0)))


def _number_distinct(values: Counts) -> tuple[Counts, Counts]:
    """Return the distinct values, ascending, and each value's index among them.

    ``values`` must not be negative.

    Plain version: ``numpy.unique(values, return_inverse=True)``. A table over all values up to
    the largest is faster, unless it would be much larger than ``values``.
    """
    table_length = int(values.max(initial=0)) + 1
    if table_length > 8 * values.size + 2**16:
        distinct, indices = np.unique(values, return_inverse=True)
        return distinct, indices.reshape(values.shape)
    occurs = np.zeros(table_length, np.bool_)
    occurs[values] = True
    distinct = np.flatnonzero(occurs)
    index_of = np.empty(table_length, np.int64)
    index_of[distinct] = np.arange(len(distinct))
    return distinct, index_of.take(values)


def nearest_indices(source: int, target: int) -> Counts:
    """Return the source index of each target index j: floor((j + 0.5)·source/target)."""
    return (2 * np.arange(target, dtype=np.int64) + 1) * source // (2 * target)


def resize_plane(plane: Integers, size: Size) -> Integers:
    """Resize an annotation plane (row, column) by nearest neighbours."""
    if plane.shape == size:
        return plane
    rows = nearest_indices(plane.shape[0], size[0])
    columns = nearest_indices(plane.shape[1], size[1])
    return plane[rows[:, None], columns[None, :]]
