"""Images for display, recovered from a model's preprocessed inputs."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from nd_plugin.errors import BadInput
from nd_plugin.preprocess import Preprocess
from nd_plugin.report.explanation_record import Pixels
from nd_plugin.results.dissection import Dissection

NOISE = 5.0  # grey levels that a pixel may lie beyond black or white, as after adding noise


def displayed_pixels(image: Tensor, preprocess: Preprocess) -> Pixels:
    """Undo the preprocessing of an image (channel, row, column); returns (row, column, channel).

    Values that this preprocessing cannot have produced are scaled from their minimum to their
    maximum.
    Raises BadInput for a tensor that is no image.
    """
    if image.dim() != 3:
        shape = tuple(image.shape)
        raise BadInput(
            f"cannot display an image of shape {shape}: expected (channel, row, column)"
        )
    image = image.detach().cpu()
    if _prepared_by(preprocess, image):
        return _rows_first(_coloured(preprocess.denormalise(image)))
    values = _coloured(image.float())
    value_range = (values.max() - values.min()).clamp_min(1e-12)
    grey_levels = (values - values.min()) / value_range * 255
    return _rows_first(grey_levels.round().byte())


def _coloured(image: Tensor) -> Tensor:
    """Return three channels: those of an RGB image, else the first one three times."""
    return image if len(image) == 3 else image[:1].expand(3, -1, -1)


def _prepared_by(preprocess: Preprocess, image: Tensor) -> bool:
    if len(image) != preprocess.channels:
        return False
    values = preprocess.pixel_values(image)
    return bool(values.min() >= -NOISE and values.max() <= 255 + NOISE)


def _rows_first(image: Tensor) -> Pixels:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def preprocess_of(dissection: Dissection) -> Preprocess | None:
    """Return the preprocessing of a dissection's images; None if it is not recorded."""
    fields = Preprocess.__dataclass_fields__
    recorded = dissection.provenance.preprocess
    values = {name: value for name, value in recorded.items() if name in fields}
    if not values.keys() >= {"size", "mean", "std"}:
        return None
    return Preprocess(**values)
