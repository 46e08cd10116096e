"""Small pictures for reports, as files: of images of the probe data set."""

from __future__ import annotations

import io

from PIL import Image

LONGEST_SIDE = 224  # pixels
QUALITY = 80  # of JPEG: 6 to 10 KB for photographs
# pixels of the longest side: up to here PNG is small, and shows every pixel
TINY = 64
# see `Image.resize`: reduced by a whole factor first, then interpolated
REDUCING_GAP = 1.0


def encode_small(picture: Image.Image) -> bytes:
    """Return an RGB picture as a small JPEG file in its own aspect; a tiny one as PNG.

    It is never enlarged. The same picture gives the same bytes.
    """
    small = picture
    size = small_size(picture.size)
    if size != picture.size:
        small = picture.resize(
            size, Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP
        )
    content = io.BytesIO()
    # copies without `info`: no ICC profile, EXIF or text is written with it
    plain = Image.frombytes("RGB", small.size, small.tobytes())
    if max(size) <= TINY:
        plain.save(content, "PNG")
    else:
        plain.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()


def small_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size (width, height) that a picture has as a small one."""
    width, height = size
    longest = max(width, height)
    if longest <= LONGEST_SIDE:
        return size
    small_width = max(round(width * LONGEST_SIDE / longest), 1)
    small_height = max(round(height * LONGEST_SIDE / longest), 1)
    return small_width, small_height
