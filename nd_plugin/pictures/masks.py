"""Masks as they lie in files: their stored integers, formats that change them, their aspect."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.errors import ConceptSetInvalid, NDError
from nd_plugin.pictures.conversion import orientation_of
from nd_plugin.pictures.files import lossy_format
from nd_plugin.pictures.opening import PictureSource, open_picture
from nd_plugin.pictures.pixel_limit import reason_of
from nd_plugin.pictures.png_checksums import (
    DamagedPicture,
    check_png_checksums,
    checksums_are_checked,
)
from nd_plugin.pictures.stored_integers import raw_mode, stored_integers


class UnfitMask(ValueError):
    """Mask that can be read, but whose pixels are not the label numbers of its image."""


def read_mask(
    source: PictureSource, what: str
) -> tuple[str, npt.NDArray[np.integer[Any]]]:
    """Read the mode and the stored integers of an image file, in their smallest type.

    Raises ValueError that names the file as ``what``, for one that is unreadable, whose content is
    of a lossy format, whatever its name, that has an EXIF orientation of its own, or whose kind of
    values Pillow scales. Under `png_checksums.checked_checksums` also for a damaged PNG file.
    """
    try:
        if checksums_are_checked():
            check_png_checksums(source, what)
        with open_picture(source) as image:
            # before anything decodes the image, which forgets them
            tiles = tuple(image.tile)  # type: ignore[attr-defined]
            lossy = lossy_format(image)
            orientation = orientation_of(image)
            _check_as_stored(lossy, orientation, what)
            raw = _raw_mode(image, tiles, what)
            return image.mode, stored_integers(image, raw)
    except (UnfitMask, DamagedPicture, NDError, MemoryError):
        raise
    except Exception as error:  # a decoder may raise anything
        raise ValueError(f"{what} cannot be read: {reason_of(error)}") from error


def _raw_mode(image: Image.Image, tiles: Sequence[Any], what: str) -> str:
    try:
        return raw_mode(image, tiles)
    except ValueError as error:
        raise UnfitMask(f"{what} is {error}") from error


def _check_as_stored(lossy: str, orientation: int | None, what: str) -> None:
    if lossy:
        raise UnfitMask(lossy_message(what, lossy))
    if orientation not in (None, 1):
        raise UnfitMask(
            f"{what} has an EXIF orientation ({orientation}), but masks are taken as they are "
            "stored; save it turned, as its upright image, and without the orientation"
        )


def check_mask_format(path: Path, what: str) -> None:
    """Raise ConceptSetInvalid for a mask in a lossy format; one that cannot be opened passes."""
    lossy = ""
    with suppress(Exception), open_picture(path) as image:
        lossy = lossy_format(image)
    if lossy:
        raise ConceptSetInvalid(lossy_message(what, lossy))


def lossy_message(what: str, lossy: str) -> str:
    """Return the message for a mask, named as ``what``, in a lossy format."""
    return (
        f"{what} is a {lossy} file by its content; lossy compression changes label numbers: "
        "export the masks again as PNG"
    )


def check_aspect(
    mask: tuple[int, int],
    image: tuple[int, int],
    what: str,
    stored: tuple[int, int] | None = None,
) -> None:
    """Check that a mask (height, width) covers its image, to within one of the mask's pixels.

    ``image`` is the size of the upright image, ``stored`` that before the EXIF orientation is
    applied. Raises ValueError that names the mask as ``what``.
    """
    if _has_aspect(mask, image):
        return
    mask_height, mask_width = mask
    height, width = image
    message = (
        f"{what} is {mask_width}x{mask_height}, which has not the aspect of its image, "
        f"{width}x{height}"
    )
    if stored is not None and _has_aspect(mask, stored):
        message += (
            f": it fits the image as stored, {stored[1]}x{stored[0]}, but the image's EXIF "
            "orientation turns that; turn the mask in the same way, or remove the orientation"
        )
    raise ValueError(message)


def _has_aspect(mask: tuple[int, int], image: tuple[int, int]) -> bool:
    mask_height, mask_width = mask
    height, width = image
    return abs(mask_width * height - mask_height * width) <= max(image)
