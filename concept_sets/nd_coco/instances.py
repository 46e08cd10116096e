"""Masks of instances: run lengths and polygons, decoded by pycocotools.

pycocotools reads memory that is not its own where run lengths are too few for the image, and takes
lists of four numbers for boxes: what it decodes is checked before.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin import Unavailable
from nd_plugin.reading import PlaneStack

LEAST_POINTS = 3  # of a polygon
BEYOND = "polygons that reach beyond their image: cut off at its edge"
DEGENERATE = "polygons of fewer than three points left out"
# of a compressed run length: 6 bits a character, the lowest first
FIRST_CHARACTER = 48
MORE = 0x20
SIGN = 0x10
BITS = 5
MOST_CHARACTERS = 13  # of a number of 64 bits

Mask = npt.NDArray[np.bool_]  # (row, column)
Size = tuple[int, int]  # height, width


def mask_library() -> Any:
    """Return pycocotools.mask. Raises Unavailable where it is not installed."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise Unavailable(
            "instances of COCO are run lengths and polygons, which pycocotools decodes; it is not "
            "installed: pip install 'nd_plugin[coco]'"
        ) from error
    return mask


def instance_planes(
    records: Iterable[Sequence[Any]],
    values: Mapping[int, int],
    size: Size,
    dtype: Any,
) -> tuple[list[npt.NDArray[np.integer[Any]]], tuple[str, ...]]:
    """Return the planes (row, column) of an image's instances, and remarks.

    ``records`` are [id, category, segmentation] each, ``values`` the plane values by category.
    There are as few planes as it takes for no concept to cover another. Raises ValueError for a
    segmentation that is malformed or of another size.
    """
    stack = PlaneStack(size, dtype)
    remarks: dict[str, None] = {}
    for number, category, segmentation in records:
        value = values.get(category)
        if value is None:
            continue
        what = f"the segmentation of annotation {number}"
        mask, mask_remarks = _decoded(segmentation, size, what)
        stack.add(mask, value)
        remarks.update(dict.fromkeys(mask_remarks))
    return stack.planes, tuple(remarks)


def _decoded(
    segmentation: Any, size: Size, what: str
) -> tuple[Mask, tuple[str, ...]]:
    """Return the pixels of a segmentation, and remarks. Raises ValueError."""
    if isinstance(segmentation, dict):
        return _decoded_runs(segmentation, size, what), ()
    if isinstance(segmentation, list):
        return _decoded_polygons(segmentation, size, what)
    raise ValueError(f"{what} is neither run lengths nor a list of polygons")


def _decoded_runs(segmentation: Mapping[str, Any], size: Size, what: str) -> Mask:
    """Return the pixels of run lengths, as they are or compressed."""
    if segmentation.get("size") != list(size):
        raise ValueError(
            f"{what} is of the size {segmentation.get('size')}, and its image is listed as "
            f"{list(size)} (height, width)"
        )
    stored_counts = segmentation.get("counts")
    counts = stored_counts
    if isinstance(stored_counts, str):
        counts = list(uncompressed(stored_counts, what))
    _check_counts(counts, size, what)
    library = mask_library()
    runs = {"size": list(size), "counts": counts}
    return _pixels(library, library.frPyObjects(runs, *size))


def _check_counts(counts: Any, size: Size, what: str) -> None:
    """Raise ValueError for run lengths that do not cover the image exactly."""
    is_valid = isinstance(counts, list) and all(
        type(count) is int and count >= 0 for count in counts
    )
    if not is_valid:
        raise ValueError(f"{what} has counts that are no run lengths")
    pixels = size[0] * size[1]
    if sum(counts) != pixels:
        raise ValueError(
            f"{what} has run lengths of {sum(counts)} pixels in all, and its image {pixels}"
        )


def uncompressed(text: str, what: str) -> Iterator[int]:
    """Yield the run lengths of a compressed text (``rleFrString`` of COCO's API).

    Each number has 5 bits a character, the lowest first, and a sign; from the third on it is the
    difference to the run length of the same colour before. Raises ValueError for other characters.
    """
    counts: list[int] = []
    position = 0
    while position < len(text):
        number, position = _signed_number(text, position, what)
        if len(counts) > 2:
            number += counts[-2]
        counts.append(number)
        yield number


def _signed_number(text: str, position: int, what: str) -> tuple[int, int]:
    """Return the number at a position, and the position behind it."""
    number = 0
    for digit in range(MOST_CHARACTERS):
        if position + digit >= len(text):
            break
        code = ord(text[position + digit]) - FIRST_CHARACTER
        if not 0 <= code < 2 * MORE:
            break
        number |= (code & (MORE - 1)) << (BITS * digit)
        if not code & MORE:
            if code & SIGN:
                number -= 1 << (BITS * (digit + 1))
            return number, position + digit + 1
    raise ValueError(f"{what} has counts that are no compressed run lengths")


def _decoded_polygons(
    polygons: Sequence[Any], size: Size, what: str
) -> tuple[Mask, tuple[str, ...]]:
    """Return the pixels of polygons, [x, y, x, y …] each."""
    drawn = []
    remarks = []
    for polygon in polygons:
        points = _points(polygon, what)
        if len(points) < LEAST_POINTS:
            remarks.append(DEGENERATE)
            continue
        if _reaches_beyond(points, size, what):
            remarks.append(BEYOND)
        drawn.append(points.ravel())
    if not drawn:
        return np.zeros(size, np.bool_), tuple(remarks)
    library = mask_library()
    encoded = library.merge(library.frPyObjects(drawn, *size))
    return _pixels(library, encoded), tuple(remarks)


def _pixels(library: Any, encoded: Mapping[str, Any]) -> Mask:
    """Return the pixels of run lengths as pycocotools encodes them."""
    with warnings.catch_warnings():
        # of its arrays, which lack an argument of NumPy 2
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.asarray(library.decode(encoded), np.bool_)


def _points(polygon: Any, what: str) -> npt.NDArray[np.float64]:
    """Return the points (point, x and y) of a polygon. Raises ValueError."""
    numbers = polygon if isinstance(polygon, list) else [None]
    if len(numbers) % 2 or not {int, float}.issuperset(map(type, numbers)):
        raise ValueError(
            f"{what} has a polygon that is no list of numbers x, y, x, y …"
        )
    return np.array(numbers, np.float64).reshape(-1, 2)


def _reaches_beyond(points: npt.NDArray[np.float64], size: Size, what: str) -> bool:
    """Return whether a polygon reaches beyond its image by more than a pixel.

    Raises ValueError for one that lies further out than the image is large: its coordinates are
    not those of this image.
    """
    height, width = size
    extent = np.array([width, height], np.float64)
    if (points < -extent).any() or (points > 2 * extent).any():
        raise ValueError(
            f"{what} has points far outside its image of {width}x{height}; are they of another "
            "size of the image?"
        )
    return bool((points < -1).any() or (points > extent + 1).any())
