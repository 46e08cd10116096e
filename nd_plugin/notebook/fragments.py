"""HTML for notebooks: templates with every text escaped, small pictures, no script.

It is read on light and on dark notebooks, in Jupyter and in editors: text has the notebook's own
colour, categories have colours that stand out from both, and every style is that of one element.
Masks are drawn into the pictures: viewers of notebooks show pictures where they remove SVG.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from nd_plugin.borders.damage import damage_refused
from nd_plugin.report.explanation_record import MaskPixels, Pixels
from nd_plugin.report.mask_overlays import data_uri, overlay
from nd_plugin.site.top_images import TopImage

TEMPLATES = Path(__file__).parent / "templates"
THUMBNAIL = 96  # pixels, of the longer side
THUMBNAILS = 36  # in one output: about 4 kB each
QUALITY = 80  # of JPEG


@cache
def _environment() -> Environment:
    return Environment(
        autoescape=True,
        loader=FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def rendered(template: str, **values: Any) -> str:
    """Return a template of ``templates/`` filled with values; texts are escaped, Markup is not."""
    return _environment().get_template(template).render(**values)


def thumbnail(
    pixels: Pixels, mask: MaskPixels | None, side: int = THUMBNAIL
) -> str:
    """Return a small picture as a data URI, dimmed outside of a mask.

    ``side`` is the length of the longer side in pixels. A mask may have another size than the
    picture.
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side))
    small = np.asarray(picture)
    if mask is not None:
        small_mask = Image.fromarray(mask).resize(
            picture.size, Image.Resampling.NEAREST
        )
        small = overlay(small, np.asarray(small_mask))
    return data_uri(small, QUALITY)


def top_thumbnail(image: TopImage, side: int = THUMBNAIL) -> str:
    """Return the thumbnail of a unit's top image."""
    with (
        damage_refused(f"the picture of {image.name}", "dissect the layer again"),
        Image.open(io.BytesIO(image.encoded)) as picture,
    ):
        pixels = np.asarray(picture.convert("RGB"))
    return thumbnail(pixels, image.mask, side)
