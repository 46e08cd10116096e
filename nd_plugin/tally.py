"""Counting pixels: |M_k ∩ L_c|, |M_k| and |L_c| of one image. Integers, so sums do not depend on any order."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin.geometry import Size
from nd_plugin.types import Annotation

EXACT_IN_FLOAT32 = 2**24  # pixels per image up to which a float32 sum of zeros and ones is exact


def nearest_rows(source: int, target: int) -> npt.NDArray[np.int64]:
    """The source row of each target row, floor((j + 0.5)·source/target), in integers."""
    return (2 * np.arange(target, dtype=np.int64) + 1) * source // (2 * target)


def resize_plane(plane: npt.NDArray[np.integer[Any]], size: Size) -> npt.NDArray[np.integer[Any]]:
    """An annotation plane (row, column) brought to ``size`` by nearest neighbours."""
    if plane.shape == size:
        return plane
    return plane[nearest_rows(plane.shape[0], size[0])[:, None], nearest_rows(plane.shape[1], size[1])[None, :]]


def dense(annotation: Annotation, size: Size) -> npt.NDArray[np.int32]:
    """All planes at one size, (plane, row, column); whole-image labels are planes of their own."""
    strange = [np.shape(plane) for plane in annotation.planes if np.ndim(plane) != 2 or np.size(plane) == 0]
    if strange:
        raise ValueError(f"a plane is of shape {strange[0]}, where (row, column) belongs")
    planes = [resize_plane(np.asarray(plane), size) for plane in annotation.planes]
    planes += [np.full(size, label) for label in annotation.labels]
    return np.stack(planes).astype(np.int32) if planes else np.zeros((0, *size), np.int32)


def annotation_masks(planes: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The concepts present in planes (plane, row, column), as ascending indices, and their masks L_c.

    The masks are (concept, row, column), bool; a concept that stands in several planes covers the union of its pixels.
    """
    flat = planes.reshape(planes.shape[0], planes.shape[1] * planes.shape[2])
    seen = np.bincount(flat.ravel(), minlength=1)
    seen[0] = 0
    values = np.flatnonzero(seen)
    slots = np.zeros(seen.size, dtype=np.int64)
    slots[values] = np.arange(1, values.size + 1)
    masks = np.zeros((values.size + 1, flat.shape[1]), dtype=np.bool_)
    for plane in flat:
        masks[slots[plane], np.arange(plane.size)] = True
    return values - 1, masks[1:].reshape(-1, *planes.shape[1:])


def tally(units: Tensor, concepts: Tensor) -> tuple[Tensor, Tensor]:
    """|M_k ∩ L_c| (unit, concept) and |M_k| (unit,), int64, for one image.

    ``units``: activation masks (unit, row, column), bool. ``concepts``: annotation masks (concept, row, column), bool.
    The product runs in float32, where sums of zeros and ones are exact up to 2**24, or else in float64; the caller's
    autocast must not reach it.
    """
    pixels = units[0].numel() if units.shape[0] else 0
    dtype = torch.float32 if pixels <= EXACT_IN_FLOAT32 else torch.float64
    lit = units.flatten(1)
    with torch.autocast(units.device.type, enabled=False):
        intersection = lit.to(dtype) @ concepts.flatten(1).to(dtype).T
    return intersection.round().long(), lit.sum(1)
