"""Picture files: decoding, sizes as stored and upright, lossy formats."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from nd_plugin.pictures.conversion import (
    FIRST_FRAME,
    REMARKS,
    TURNED,
    has_more_frames,
    orientation_of,
)
from nd_plugin.pictures.opening import PictureSource, open_picture

TURNING_ORIENTATIONS = (5, 6, 7, 8)  # by 90 or 270 degrees
# which Pillow decodes without turning
FORMATS_AS_STORED = ("JPEG", "PNG")
TIFF_WIDTH = 256
TIFF_HEIGHT = 257
# chunks and keywords; they may stand behind the pixels
PNG_ORIENTATION_MARKERS = (
    b"eXIf",
    b"Raw profile type exif",
    b"XML:com.adobe.xmp",
)
LOSSY_FORMATS = {
    "JPEG": "JPEG",
    "MPO": "JPEG",
    "JPEG2000": "JPEG 2000",
    "AVIF": "AVIF",
    "HEIF": "HEIF",
    "DDS": "DDS",
    "FTEX": "FTEX",
    "BLP": "BLP",
}
LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp", "jpeg2000")
# largest upper byte of a 16 bit channel whose values fit 14 bits or fewer
DARK_UPPER_BYTE = 63
DARK_COLOURS = (
    "16 bit colour, of which 8 bits are read, has values of 14 bits or fewer only and is dark; "
    "convert it to 8 bits if it should not be"
)


class PictureSize(NamedTuple):
    """Size of a picture: upright, as it is shown, and as it is stored; (height, width)."""

    upright: tuple[int, int]
    stored: tuple[int, int]


def read_picture(source: PictureSource) -> Image.Image:
    """Decode a picture as it is stored; the host turns it upright and converts it.

    What cannot be found out from the decoded picture is in its ``info["nd_plugin.remarks"]``.
    """
    with open_picture(source) as image:
        remarks = []
        has_wide_colours = _has_wide_colours(image)
        if has_more_frames(image):
            remarks.append(FIRST_FRAME)
        stored_orientation = orientation_of(image)
        image.load()
        if stored_orientation != orientation_of(image):
            remarks.append(TURNED)  # Pillow turns TIFF pictures itself
        if has_wide_colours and _is_dark(image):
            remarks.append(DARK_COLOURS)
        if remarks:
            image.info[REMARKS] = tuple(remarks)
        return image


def _has_wide_colours(image: Image.Image) -> bool:
    """Return whether a colour picture that is not loaded yet has 16 bits a channel."""
    tiles = getattr(image, "tile", [])
    if image.mode not in ("RGB", "RGBA") or not tiles:
        return False
    raw_mode = tiles[0][3]
    if isinstance(raw_mode, tuple):
        raw_mode = raw_mode[0]
    return isinstance(raw_mode, str) and ";16" in raw_mode


def _is_dark(image: Image.Image) -> bool:
    colours = np.asarray(image)[:, :, :3]
    return bool(colours.max() <= DARK_UPPER_BYTE)


def measure_picture(
    source: PictureSource, decoded: Image.Image | None = None
) -> PictureSize:
    """Read a picture's size, upright and as stored, without decoding it.

    ``decoded``: the picture as `read_picture` has returned it; its file is then read again only for
    formats whose pictures Pillow turns itself.
    """
    if decoded is not None and decoded.format in FORMATS_AS_STORED:
        is_turned = orientation_of(decoded) in TURNING_ORIENTATIONS
        return _picture_size((decoded.height, decoded.width), is_turned)
    with open_picture(source) as image:
        stored = (image.height, image.width)
        if image.format == "TIFF":
            # Pillow's size is upright in some versions, but not in all
            tags = image.tag_v2  # type: ignore[attr-defined]
            stored = (tags[TIFF_HEIGHT], tags[TIFF_WIDTH])
        is_turned = (
            _may_be_turned(image) and orientation_of(image) in TURNING_ORIENTATIONS
        )
    return _picture_size(stored, is_turned)


def _picture_size(stored: tuple[int, int], is_turned: bool) -> PictureSize:
    return PictureSize(stored[::-1] if is_turned else stored, stored)


def _may_be_turned(image: Image.Image) -> bool:
    """Return False for a PNG file without metadata of an orientation: Pillow would decode it."""
    if image.format != "PNG":
        return True
    content = _content(image)
    return any(marker in content for marker in PNG_ORIENTATION_MARKERS)


def _content(image: Image.Image) -> bytes:
    """Return the content of the file of a picture that is not loaded yet."""
    file = getattr(image, "fp", None)
    if isinstance(file, BytesIO):
        return file.getvalue()
    return Path(image.filename).read_bytes()  # type: ignore[attr-defined]


def lossy_format(image: Image.Image) -> str:
    """Return the name of the lossy format that an opened file has, whatever its name; else ""."""
    if image.format == "WEBP":
        return "lossy WebP" if _is_lossy_webp(image) else ""
    if image.format == "TIFF":
        compression = image.info.get("compression")
        return f"TIFF ({compression})" if compression in LOSSY_TIFF else ""
    return LOSSY_FORMATS.get(image.format or "", "")


def _is_lossy_webp(image: Image.Image) -> bool:
    """Return whether a WebP file has a chunk of lossy pixels.

    Chunks are a name and a length of 4 bytes each and then the content, padded to an even length;
    frames of animations hold chunks of their own after 16 bytes.
    """
    content = _content(image)
    position = 12
    while position + 8 <= len(content):
        name = content[position : position + 4]
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        if name == b"VP8 ":
            return True
        position += 8
        position += 16 if name == b"ANMF" else length + length % 2
    return False
