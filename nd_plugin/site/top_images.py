"""Top images of a unit from a run's pictures, with the pixels where the unit is active."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from nd_plugin.site.mask_paths import Mask, region

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

NO_PICTURES = (
    "The run has no pictures of its units' top images (--no-pictures, or an earlier nd_plugin): "
    "dissect the layer again to see them."
)
ALT_WHOLE = "{}, activation up to {:.3g}"
ALT_REGION = "{}, activation up to {:.3g}; bright where unit {} is active"


@dataclass(frozen=True, eq=False)
class TopImage:
    """Small picture of one of a unit's top images."""

    unit: int
    number: int  # of the image, its index into the concept set
    name: str
    activation: float  # the unit's largest in it
    encoded: bytes  # a JPEG or PNG file, which can be opened
    suffix: str  # ".jpg" or ".png"
    mask: Mask | None  # M_k; None where the map is not known

    @property
    def source(self) -> str:
        """Picture as a data URI."""
        kind = "png" if self.suffix == ".png" else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(self.encoded).decode()}"

    @property
    def region(self) -> Markup:
        """SVG that darkens what lies outside of the mask; nothing without a mask."""
        return Markup() if self.mask is None else region(self.mask)

    @property
    def alt(self) -> str:
        """Description for those who do not see it."""
        form = ALT_WHOLE if self.mask is None else ALT_REGION
        return form.format(self.name, self.activation, self.unit)


def top_images(dissection: Dissection, unit: int, most: int) -> list[TopImage]:
    """Return a unit's first top images that have a picture, most active first."""
    pictures = dissection.pictures
    if pictures is None:
        return []
    shown = []
    for rank in range(min(most, pictures.units_top)):
        image = int(dissection.top_images[unit, rank])
        if image not in pictures:
            continue
        pictures.picture_size(image)  # raises RunInvalid for a damaged one
        top_image = TopImage(
            unit=unit,
            number=image,
            name=dissection.image_names[image],
            activation=float(dissection.top_activations[unit, rank]),
            encoded=pictures.encoded_picture(image),
            suffix=pictures.suffix(image),
            mask=dissection.activation_mask(unit, rank),
        )
        shown.append(top_image)
    return shown
