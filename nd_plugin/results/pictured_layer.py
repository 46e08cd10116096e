"""Layer with pictures of its units' top images, their masks, and histograms of activations."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nd_plugin.borders.damage import damage_refused
from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.errors import BadInput
from nd_plugin.results import pictures_format
from nd_plugin.results.activation_histograms import ActivationHistograms
from nd_plugin.results.checks.picture_sizes import check_images
from nd_plugin.results.top_maps import Mask
from nd_plugin.results.top_pictures import TopPictures


class PicturedLayer:
    """Layer whose pictures are read from their file when they are first asked for."""

    layer: str
    thresholds: npt.NDArray[np.float64]
    concepts: tuple[Concept, ...]
    top_images: npt.NDArray[np.int64]
    image_names: tuple[str, ...]
    stored_pictures: TopPictures | Path | None
    histograms: ActivationHistograms | None

    @cached_property
    def pictures(self) -> TopPictures | None:
        """Small pictures of the units' top images, with annotations and maps.

        None for a run without pictures (``--no-pictures``, or an earlier nd_plugin). Raises
        RunInvalid for a damaged file.
        """
        path = self.stored_pictures
        if not isinstance(path, Path):
            return path
        pictures = pictures_format.load(path)
        with damage_refused(path, pictures_format.REMEDY):
            check_images(pictures, self.top_images, len(self.image_names))
        return replace(pictures, concept_count=len(self.concepts))

    def activation_mask(self, unit: int, rank: int) -> Mask | None:
        """Compute M_k, bool (row, column), in a unit's top image ``rank``: S_k > T_k, exactly.

        It has the size at which masks are compared with annotations. None where there is no
        picture or no map of this image. Raises BadInput for a unit that the layer has not.
        """
        self.check_unit(unit)
        if self.pictures is None:
            return None
        threshold = float(self.thresholds[unit])
        return self.pictures.mask(unit, rank, threshold)

    def activation_masks(self, unit: int) -> list[Mask | None]:
        """Compute `activation_mask` in each of a unit's top images that have pictures, at once.

        An empty list for a run without pictures. Raises BadInput for a unit that the layer has not.
        """
        self.check_unit(unit)
        if self.pictures is None:
            return []
        return self.pictures.masks(unit, float(self.thresholds[unit]))

    def histogram(
        self, unit: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
        """Return a histogram of a unit's activations: counts (bin,) and edges (bin + 1,).

        It is of a sample, a fair one, of at most a few thousand activations: one or several of each
        of some images, chosen whatever their value. The last edge is the highest activation in all
        images. None for a run of an earlier nd_plugin. Raises BadInput for a unit that the layer
        has not.
        """
        self.check_unit(unit)
        if self.histograms is None:
            return None
        return self.histograms.histogram(unit)

    def check_unit(self, unit: int) -> None:
        """Raise BadInput for a unit that the layer has not."""
        unit_count = len(self.thresholds)
        if not 0 <= unit < unit_count:
            raise BadInput(
                f"no unit {unit}: layer {self.layer!r} has {unit_count}, numbered from 0"
            )
