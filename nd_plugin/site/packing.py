"""Arrays as text for scripts of pages: little-endian bytes, deflated (zlib), in base64."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.integer[Any]]


def pack_masks(masks: Sequence[Mask]) -> str:
    """Pack masks one after the other: a bit for each pixel, row by row, each of whole bytes."""
    return _pack(np.packbits(mask, axis=None).tobytes() for mask in masks)


def pack_integers(arrays: Sequence[Integers]) -> str:
    """Pack arrays of uint8 or uint16 one after the other."""
    little_endian = [
        array.astype(array.dtype.newbyteorder("<"), copy=False) for array in arrays
    ]
    return _pack(array.tobytes() for array in little_endian)


def _pack(parts: Iterable[bytes]) -> str:
    return base64.b64encode(zlib.compress(b"".join(parts))).decode()
