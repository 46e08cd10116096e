"""Perturbation of an image, one band of rows or columns at a time, and what a layer makes of it.

A cell that looks at a place changes when the band over this place does. Which axes of an output
are rows and columns, and where cells look, can therefore be measured (docs/method.md)::

    images 1 … 6: a band of rows is perturbed      images 7 … 12: a band of columns
    ████████   ········                            ██······   ··██····
    ········   ████████   …                        ██······   ··██····   …
    ········   ········                            ██······   ··██····
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

BANDS = 6  # of rows, and of columns
IMAGES = 1 + 2 * BANDS  # in a perturbed batch: the image itself comes first
MIN_LINEARITY = 0.7  # of an axis that follows the bands; 0.95 and more are usual
# In standard deviations of the image: small, so that trained networks answer nearly linearly, and
# large enough for half precision.
AMPLITUDE = 0.3


@dataclass(frozen=True)
class PerturbedImages:
    """Image, followed by copies in which a band of rows, then of columns, is perturbed."""

    images: Tensor  # (IMAGES, channel, row, column)
    row_edges: tuple[int, ...]  # (BANDS + 1,), pixels
    column_edges: tuple[int, ...]  # (BANDS + 1,), pixels


def perturb(image: Tensor) -> PerturbedImages:
    """Perturb an image (channel, row, column), band by band.

    Half of a band's values, chosen at random (with a fixed seed), rise by the same amount: noise
    for layers that see edges, brightness for those that average over wide fields.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    rises = torch.randint(0, 2, image.shape, generator=generator, device="cpu")
    change = rises.to(image) * (AMPLITUDE * image.std())
    _, height, width = image.shape
    row_edges = _edges(height)
    column_edges = _edges(width)
    images = [image]
    for edges, dim in ((row_edges, 1), (column_edges, 2)):
        for begin, end in pairwise(edges):
            perturbed = image.clone()
            band = perturbed.narrow(dim, begin, end - begin)
            band += change.narrow(dim, begin, end - begin)
            images.append(perturbed)
    return PerturbedImages(torch.stack(images), row_edges, column_edges)


def _edges(length: int) -> tuple[int, ...]:
    return tuple(round(band * length / BANDS) for band in range(BANDS + 1))


@dataclass(frozen=True)
class AxisResponse:
    """Changes of an output along one of its axes, for each band that was perturbed."""

    # float64 (band, index), squared and summed along all other axes
    changes: Tensor

    @property
    def weights(self) -> Tensor:
        """Share of each index in all changes, (index,)."""
        total = self.changes.sum()
        shares = self.changes.sum(0) / total
        return shares if total > 0 else torch.zeros_like(shares)

    @property
    def mean_bands(self) -> Tensor:
        """Mean number of the bands that change each index, (index,)."""
        numbers = torch.arange(len(self.changes), dtype=torch.float64, device="cpu")
        tiny = torch.finfo(self.changes.dtype).tiny
        changes_of_index = self.changes.sum(0).clamp_min(tiny)
        return (self.changes * numbers[:, None]).sum(0) / changes_of_index

    def spread(self) -> float:
        """Variance of `mean_bands`, relative to that of cells of which each sees one band."""
        deviations = self.mean_bands - self._mean(self.mean_bands)
        largest_variance = (len(self.changes) ** 2 - 1) / 12
        return float(self._mean(deviations.square())) / largest_variance

    def linearity(self, numbers: Tensor) -> float:
        """Squared correlation of `mean_bands` with numbers (index,) of rows or columns."""
        numbers = numbers.double()
        number_deviations = numbers - self._mean(numbers)
        band_deviations = self.mean_bands - self._mean(self.mean_bands)
        covariance = self._mean(number_deviations * band_deviations)
        number_variance = self._mean(number_deviations.square())
        band_variance = self._mean(band_deviations.square())
        variances = number_variance * band_variance
        return float(covariance.square() / variances) if variances > 0 else 0.0

    def follows_bands(self, min_spread: float) -> bool:
        """Return whether `mean_bands` vary that much along the axis, and linearly."""
        numbers = torch.arange(self.changes.shape[1], device="cpu")
        return (
            self.spread() >= min_spread and self.linearity(numbers) >= MIN_LINEARITY
        )

    def is_reversed(self) -> bool:
        """Return whether `mean_bands` fall along the axis."""
        numbers = torch.arange(self.changes.shape[1], device="cpu").double()
        number_deviations = numbers - self._mean(numbers)
        return float(self._mean(number_deviations * self.mean_bands)) < 0

    def select(self, indices: Tensor) -> AxisResponse:
        """Return the response of some indices."""
        return AxisResponse(self.changes.index_select(1, indices))

    def summed(self, grid: tuple[int, int], dim: int) -> AxisResponse:
        """Return the response of tokens on a grid, summed over its rows (0) or columns (1)."""
        on_grid = self.changes.reshape(len(self.changes), *grid)
        return AxisResponse(on_grid.sum(dim + 1))

    def _mean(self, values: Tensor) -> Tensor:
        return (self.weights * values).sum()


@dataclass(frozen=True)
class Response:
    """Changes of an output, along each of its axes but that of images, by axis."""

    shape: torch.Size  # of the output for the perturbed images
    image_axis: int
    rows: Mapping[int, AxisResponse]  # when bands of rows are perturbed
    columns: Mapping[int, AxisResponse]  # when bands of columns are perturbed

    @classmethod
    def of_pair(cls, output: Tensor, shape_of_pair: torch.Size) -> Response | None:
        """Return the response in an output whose shape is known for a batch of two images.

        None where no axis, or more than one, has grown with the number of images.
        """
        if output.dim() != len(shape_of_pair):
            return None
        grown_axes = [
            axis
            for axis, length in enumerate(shape_of_pair)
            if output.shape[axis] != length
        ]
        if len(grown_axes) != 1:
            return None
        (image_axis,) = grown_axes
        if (shape_of_pair[image_axis], output.shape[image_axis]) != (2, IMAGES):
            return None
        return cls.of_output(output, image_axis)

    @classmethod
    def of_output(cls, output: Tensor, image_axis: int) -> Response:
        """Return the response in an output for `PerturbedImages.images`."""
        images = output.detach().movedim(image_axis, 0)
        axes = [axis for axis in range(output.dim()) if axis != image_axis]
        changes: dict[int, list[Tensor]] = {axis: [] for axis in axes}
        for perturbed in images[1:]:
            change = _change(perturbed, images[0])
            largest = torch.linalg.vector_norm(change, torch.inf)
            # relative to the largest one, squares neither overflow nor vanish
            change.div_(largest.clamp_min(torch.finfo(change.dtype).tiny)).square_()
            scale = largest.double().square().cpu()
            for index, axis in enumerate(axes):
                other_dims = [dim for dim in range(change.dim()) if dim != index]
                summed = change.sum(other_dims) if other_dims else change
                changes[axis].append(summed.double().cpu() * scale)
        return cls(
            output.shape,
            image_axis,
            {axis: _stacked(changes[axis][:BANDS]) for axis in axes},
            {axis: _stacked(changes[axis][BANDS:]) for axis in axes},
        )

    @property
    def is_zero(self) -> bool:
        """Whether nothing in the output changed."""
        responses = [*self.rows.values(), *self.columns.values()]
        return not any(bool(response.changes.any()) for response in responses)


def _change(perturbed: Tensor, image: Tensor) -> Tensor:
    """Return the change of an image's values in at least single precision; 0 where undefined."""
    change = torch.sub(_as_wide(perturbed), _as_wide(image))
    return change.nan_to_num_(0, 0, 0)


def _as_wide(values: Tensor) -> Tensor:
    """Return values of half precision in single precision, and others as they are."""
    return values if values.dtype == torch.float64 else values.float()


def _stacked(changes: Sequence[Tensor]) -> AxisResponse:
    return AxisResponse(torch.stack(list(changes)))
