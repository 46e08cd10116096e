"""Pictures that raters see: top images of a unit with its patches highlighted, the rest dimmed."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from nd_plugin.errors import BadInput
from nd_plugin.rating.study import Question, shown_ranks
from nd_plugin.results.dissection import Dissection

LONGEST_SIDE = 240  # pixels
JPEG_QUALITY = 88
PICTURES_IN_MEMORY = 1000
# of pixels outside a mask: less than in reports, whose masks have an outline
BRIGHTNESS_OUTSIDE = 0.25


class Highlights:
    """Pictures of a study's units, drawn when they are first asked for."""

    def __init__(
        self,
        dissections: Sequence[Dissection],
        questions: Sequence[Question],
        most: int,
    ) -> None:
        self._layers = {dissection.layer: dissection for dissection in dissections}
        self._unit_of = {
            question.pictures: (question.layer, question.unit)
            for question in questions
        }
        self._most = most
        self.picture: Callable[[str, int], bytes] = lru_cache(
            maxsize=PICTURES_IN_MEMORY
        )(self._draw)

    def count(self, name: str) -> int:
        """Return the number of pictures under a name (`Question.pictures`)."""
        return len(self._ranks(name))

    def _ranks(self, name: str) -> list[int]:
        if name not in self._unit_of:
            raise BadInput(f"no pictures {name!r} in this study")
        layer, unit = self._unit_of[name]
        return shown_ranks(self._layers[layer], unit, self._most)

    def _draw(self, name: str, index: int) -> bytes:
        """Return a picture as a JPEG file. Raises BadInput for one that is not there."""
        ranks = self._ranks(name)
        if not 0 <= index < len(ranks):
            raise BadInput(f"no picture {index} among the {len(ranks)} of {name}")
        layer, unit = self._unit_of[name]
        return highlighted(self._layers[layer], unit, ranks[index])


def highlighted(dissection: Dissection, unit: int, rank: int) -> bytes:
    """Return a unit's top image ``rank`` as a JPEG file: M_k as it is, the rest dimmed.

    There is no outline: its colour would speak for or against phrases such as "yellow". Nothing
    but pixels is in the file. Raises BadInput where the image has no picture or map.
    """
    pictures = dissection.pictures
    mask = dissection.activation_mask(unit, rank)
    if pictures is None or mask is None:
        raise BadInput(f"unit {unit} has no picture of its top image {rank}")
    picture = pictures.picture(int(pictures.top_images[unit, rank]))
    factor = LONGEST_SIDE / max(picture.size)
    size = (round(picture.width * factor) or 1, round(picture.height * factor) or 1)
    pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
    resized_mask = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
    jpeg = io.BytesIO()
    dimmed = (pixels * BRIGHTNESS_OUTSIDE).astype(np.uint8)
    lit = np.asarray(resized_mask)[:, :, None]
    drawn = Image.fromarray(np.where(lit, pixels, dimmed))
    drawn.save(jpeg, "JPEG", quality=JPEG_QUALITY)
    return jpeg.getvalue()
