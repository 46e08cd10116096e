"""Images with the masks of units: apart, overlaid as pixels, and as JPEG."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.report.explanation_record import MaskPixels, Pixels

# of pixels outside a mask; pages say the same in style.css and scripts/pictures.js
BRIGHTNESS_OUTSIDE = 0.4
OUTLINE_COLOUR = (255, 210, 0)


@dataclass(frozen=True, eq=False)
class TopImage:
    """Image in which a unit is most active."""

    name: str
    activation: float  # the largest of the unit
    # small, RGB; None where the run has no picture of it
    original: Image.Image | None
    # M_k, bool (row, column) at the size of the picture; None where it is not known
    mask: MaskPixels | None

    @property
    def picture(self) -> Pixels | None:
        """Picture with M_k outlined and the rest dimmed, uint8 (row, column, channel)."""
        if self.original is None:
            return None
        pixels = np.asarray(self.original)
        return pixels if self.mask is None else overlay(pixels, self.mask)


def overlay(image: Pixels, mask: MaskPixels) -> Pixels:
    """Dim the image outside the mask and outline the mask: (row, column, channel)."""
    combined = dim_outside(image, mask)
    outline = mask & ~_interior(mask)
    combined[outline] = OUTLINE_COLOUR
    return combined


def dim_outside(image: Pixels, mask: MaskPixels) -> Pixels:
    """Dim the image outside the mask: (row, column, channel)."""
    dimmed = (image * BRIGHTNESS_OUTSIDE).astype(np.uint8)
    return np.where(mask[:, :, None], image, dimmed)


def resized_mask(mask: MaskPixels, rows: int, columns: int) -> MaskPixels:
    """Scale a mask to (rows, columns): each pixel has the value at its centre."""
    nearest_rows = _nearest(mask.shape[0], rows)
    nearest_columns = _nearest(mask.shape[1], columns)
    return mask[nearest_rows][:, nearest_columns]


def _nearest(length: int, new_length: int) -> npt.NDArray[np.int64]:
    """Return, for each of ``new_length`` pixels, the one of ``length`` at its centre."""
    centres = (2 * np.arange(new_length) + 1) * length
    return centres // (2 * new_length)


def _interior(mask: MaskPixels) -> MaskPixels:
    """Return the pixels of a mask whose four neighbours (inside the image) belong to it."""
    interior = mask.copy()
    interior[1:] &= mask[:-1]
    interior[:-1] &= mask[1:]
    interior[:, 1:] &= mask[:, :-1]
    interior[:, :-1] &= mask[:, 1:]
    return interior


def data_uri(pixels: Pixels, quality: int = 90) -> str:
    """Encode pixels as a data URI with a JPEG image."""
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=quality)
    encoded = base64.b64encode(jpeg.getvalue()).decode()
    return f"data:image/jpeg;base64,{encoded}"
