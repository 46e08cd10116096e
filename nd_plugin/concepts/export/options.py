"""What an export is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from nd_plugin.errors import BadInput
from nd_plugin.pictures.masks import check_aspect
from nd_plugin.preprocess import INTERPOLATIONS
from nd_plugin.receptive_fields.geometry import Size

FORMATS = ("broden", "masks")


@dataclass(frozen=True)
class ExportOptions:
    """Format and sizes of an export.

    Without ``size``, images and masks are as the set has them. With it, images are resized as a
    dissection resizes them, not cropped, and masks are brought to ``mask_size``, or half of it.
    """

    format: str = "broden"  # or "masks"
    size: Size | None = None  # of images, (height, width)
    mask_size: Size | None = None
    interpolation: str = "bilinear"  # of images, when they are resized

    def __post_init__(self) -> None:
        """Check the values. Raises BadInput."""
        if self.format not in FORMATS:
            raise BadInput(
                f"the format {self.format!r} is none of {', '.join(FORMATS)}"
            )
        if self.mask_size is not None and self.size is None:
            raise BadInput(
                "a size of masks needs one of images, whose aspect masks have: give --size too "
                "(size=)"
            )
        if self.size is not None and self.mask_size is not None:
            check_mask_size(self.mask_size, self.size)
        if self.interpolation not in INTERPOLATIONS:
            raise BadInput(
                f"interpolation {self.interpolation!r} is none of {', '.join(INTERPOLATIONS)}"
            )


def check_mask_size(mask_size: Size, size: Size) -> None:
    """Raise BadInput for a size of masks that has not the aspect of its images' size."""
    try:
        check_aspect(mask_size, size, "the mask size")
    except ValueError as error:
        raise BadInput(f"{error}; choose a size of the same aspect") from error
