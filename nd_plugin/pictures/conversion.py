"""Conversion of decoded pictures of any kind to upright RGB, and remarks on what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import ExifTags, Image, ImageOps

from nd_plugin.pictures.grey_values import (
    GreyRange,
    RangeChooser,
    WideGrey,
    range_of_picture,
    wide_grey,
)
from nd_plugin.pictures.stored_integers import pixel_array, strips_of

BACKGROUND = (255, 255, 255)  # behind transparent pixels, as a page shows them
# key of `Image.info`: a tuple of texts that a result counts
REMARKS = "nd_plugin.remarks"
TURNED = "turned upright as the EXIF orientation says"
UNREADABLE_EXIF = "EXIF data that cannot be read: taken as stored, not turned"
COMPOSITED = "transparent pixels composited on white"
FIRST_FRAME = "only the first of several frames used"
# their further frames are thumbnails and layers of the one picture
STILL_FORMATS = ("MPO", "PSD")


@dataclass(frozen=True)
class Picture:
    """Upright RGB picture, and remarks on its conversion."""

    rgb: Image.Image
    remarks: tuple[str, ...] = ()
    # of grey values in a wider type whose format does not say it: white by kind of values
    whites: Mapping[str, int] = field(default_factory=dict)


def convert_picture(
    image: Image.Image, choose_range: RangeChooser = range_of_picture
) -> Picture:
    """Convert a decoded picture: turned as its EXIF says, composited on white, 8 bits a channel.

    ``choose_range`` chooses the range of grey values in wider types. Raises ValueError for values
    that fit no range (see `grey_values`).
    """
    remarks = _remarks_of_reader(image)
    if has_more_frames(image):
        remarks.append(FIRST_FRAME)
    upright = _turn_upright(image, remarks)
    grey = wide_grey(upright)
    if grey is None:
        rgb = _flatten(upright, remarks)
        return Picture(rgb, tuple(dict.fromkeys(remarks)))
    grey_range = choose_range(grey)
    if grey_range.remark:
        remarks.append(grey_range.remark)
    rgb = _scale(grey, grey_range, upright.info.get("transparency"), remarks)
    whites = {grey.kind: grey_range.white} if grey.known_white is None else {}
    return Picture(rgb, tuple(dict.fromkeys(remarks)), whites)


def _remarks_of_reader(image: Image.Image) -> list[str]:
    """Return what the reader of a picture has put into its ``info``.

    A text there is none of ours: Pillow stores texts of PNG files, whatever their key.
    """
    remarks = image.info.get(REMARKS, ())
    return [] if isinstance(remarks, str) else list(remarks)


def has_more_frames(image: Image.Image) -> bool:
    """Return whether a picture is the first of several frames, of an animation or pages."""
    if image.format in STILL_FORMATS:
        return False
    try:
        return bool(getattr(image, "is_animated", False)) and image.tell() == 0
    except (ValueError, OSError, AttributeError):
        # the file is closed, and this was not asked before
        return False


def orientation_of(image: Image.Image) -> int | None:
    """Return the EXIF orientation, 1 to 8; None for EXIF data that cannot be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:  # PNG files are decoded for it
        raise
    except Exception:  # malformed EXIF raises errors of every kind
        return None
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        return 1
    return orientation


def _turn_upright(image: Image.Image, remarks: list[str]) -> Image.Image:
    orientation = orientation_of(image)
    if orientation is None:
        remarks.append(UNREADABLE_EXIF)
    if orientation in (None, 1):
        return image
    remarks.append(TURNED)
    upright = ImageOps.exif_transpose(image)
    upright.format = image.format
    return upright


def _scale(
    grey: WideGrey,
    grey_range: GreyRange,
    transparent_value: object,
    remarks: list[str],
) -> Image.Image:
    """Scale wide grey values to 8 bits; ``transparent_value`` is a PNG's, if any."""
    pixels = pixel_array(grey.image, grey_range.to_8_bits)
    if isinstance(transparent_value, int):
        is_transparent = pixel_array(
            grey.image, lambda values: values == transparent_value
        )
        if is_transparent.any():
            pixels[is_transparent] = BACKGROUND[0]
            remarks.append(COMPOSITED)
    return Image.fromarray(pixels).convert("RGB")


def _flatten(image: Image.Image, remarks: list[str]) -> Image.Image:
    """Convert to RGB; transparent pixels are composited on `BACKGROUND`.

    Strip by strip: an intermediate picture takes 4 bytes a pixel, and there are up to four.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    strips = strips_of((image.height, image.width))
    if len(strips) == 1:
        return _flatten_strip(image, remarks)
    rgb = Image.new("RGB", image.size)
    for strip in strips:
        box = (0, strip.start, image.width, strip.stop)
        rgb.paste(_flatten_strip(image.crop(box), remarks), box[:2])
    return rgb


def _flatten_strip(image: Image.Image, remarks: list[str]) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    lowest_alpha, _ = rgba.getchannel("A").getextrema()
    if lowest_alpha == 255:
        return rgba.convert("RGB")
    remarks.append(COMPOSITED)
    background = Image.new("RGBA", rgba.size, (*BACKGROUND, 255))
    return Image.alpha_composite(background, rgba).convert("RGB")
