"""First operations of a model on its images, and the preprocessing that they imply.

A model that scales and shifts its own inputs says by that which inputs it takes: one that begins
with ``x / 255`` takes pixels from 0 to 255, one that begins with ``(x - 0.45) / 0.22`` values from
0 to 1. Backends follow these operations, in a graph or in a forward pass, up to the first layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nd_plugin.model_inputs.input_range import (
    PIXELS,
    InputRange,
    find_range,
    is_pixel_factor,
)
from nd_plugin.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess

STATISTICS_TOLERANCE = 0.01  # of ImageNet's mean and std in 0 … 1
FIRST = "first operations"
NUMBERS_SHOWN = 3  # of one operation, in texts


@dataclass(frozen=True)
class FirstOperations:
    """Element-wise operations between a model's images and its first layer, as one affine map.

    Channel c of the result is ``factors[c] * images[:, order[c]] + offsets[c]``.
    """

    factors: tuple[float, ...]
    offsets: tuple[float, ...]
    order: tuple[int, ...]
    texts: tuple[str, ...] = ()  # operations in words, such as "Mul 0.00392"
    # False where they may be those of a BatchNorm, which are trained
    conclusive: bool = True
    # known where the first operation divides by 255
    range_of_first: InputRange | None = None
    # whether channels were scaled by different factors
    scales_channels: bool = False
    # mean and standard deviation by channel of a BatchNorm, which comes last
    deviations: tuple[tuple[float, float], ...] = ()

    @classmethod
    def none(cls, channels: int) -> FirstOperations:
        """Return no operations, on images of some channels."""
        return cls((1.0,) * channels, (0.0,) * channels, tuple(range(channels)))

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.factors)

    def computed(
        self, kind: str, numbers: Sequence[float], *, constant_first: bool = False
    ) -> FirstOperations | None:
        """Append ``add``, ``sub``, ``mul`` or ``div`` with a number, or with one for each channel.

        None where the result is no increasing function of the images. Raises ValueError where the
        count of numbers is not that of the channels.
        """
        text = _describe(kind, numbers)
        if kind == "add":
            return self.shifted(numbers, text)
        if kind == "mul":
            return self.scaled(numbers, text)
        if constant_first or kind not in ("sub", "div"):
            return None
        if kind == "sub":
            return self.shifted([-number for number in numbers], text)
        if 0.0 in numbers:
            return None
        return self.scaled([1 / number for number in numbers], text)

    def scaled(self, factors: Sequence[float], text: str) -> FirstOperations:
        """Append a multiplication by a factor, or by one for each channel."""
        numbers = _per_channel(factors, self.channels)
        if all(number == 1.0 for number in numbers):
            return self
        is_uniform = len(set(numbers)) == 1
        range_of_first = self.range_of_first
        if not self.texts and is_uniform and is_pixel_factor(numbers[0]):
            range_of_first = PIXELS
        return replace(
            self,
            factors=_products(self.factors, numbers),
            offsets=_products(self.offsets, numbers),
            texts=(*self.texts, text),
            range_of_first=range_of_first,
            scales_channels=self.scales_channels or not is_uniform,
        )

    def shifted(self, offsets: Sequence[float], text: str) -> FirstOperations:
        """Append an addition of an offset, or of one for each channel."""
        numbers = _per_channel(offsets, self.channels)
        if all(number == 0.0 for number in numbers):
            return self
        sums = [
            offset + number
            for offset, number in zip(self.offsets, numbers, strict=True)
        ]
        # A BatchNorm that was taken apart scales each channel and then shifts it.
        conclusive = self.conclusive and not self.scales_channels
        return replace(
            self,
            offsets=tuple(sums),
            texts=(*self.texts, text),
            conclusive=conclusive,
        )

    def reordered(self, order: Sequence[int], text: str) -> FirstOperations:
        """Append a permutation of channels: channel c of the result is channel ``order[c]``."""
        return replace(
            self,
            factors=tuple(self.factors[channel] for channel in order),
            offsets=tuple(self.offsets[channel] for channel in order),
            order=tuple(self.order[channel] for channel in order),
            texts=(*self.texts, text),
        )

    def repeated(self, count: int, text: str) -> FirstOperations:
        """Append a copying of a grey image to several equal channels."""
        return replace(
            self,
            factors=self.factors * count,
            offsets=self.offsets * count,
            order=self.order * count,
            texts=(*self.texts, text),
        )

    def batch_normalised(
        self, means: Sequence[float], variances: Sequence[float]
    ) -> FirstOperations:
        """Append a BatchNorm with these running means and variances, as the last operation."""
        deviations = [math.sqrt(max(variance, 0.0)) for variance in variances]
        pairs = zip(
            _per_channel(means, self.channels),
            _per_channel(deviations, self.channels),
            strict=True,
        )
        return replace(
            self,
            texts=(*self.texts, "a BatchNorm"),
            deviations=tuple(pairs),
        )

    def complete(self, default: Preprocess, owner: str) -> Preprocess:
        """Return the preprocessing that these operations imply, else ``default`` with a hint.

        ``default`` is assumed; ``owner`` is what has the operations, such as "the graph".
        """
        if not self.texts:
            return default
        listing = ", ".join(self.texts)
        input_range = self.range_of_first or self._find_range()
        if input_range is None:
            hint = "do not tell which values it takes"
        elif not self._is_certain(input_range):
            hint = f"suggest {input_range.name}"
        else:
            return self._preprocess(default, input_range, f"{owner}'s {FIRST}")
        source = f"{default.source}; its {FIRST} ({listing}) {hint}"
        return replace(default, source=source)

    def _is_certain(self, input_range: InputRange) -> bool:
        if self.range_of_first is not None:
            return True
        if self.deviations:
            return False
        statistics = zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)
        return self.conclusive or self._normalises_with(
            list(statistics), input_range
        )

    def _preprocess(
        self, default: Preprocess, input_range: InputRange, origin: str
    ) -> Preprocess:
        """Return the preprocessing that produces a range."""
        channel_order = "bgr" if self._takes_bgr(input_range) else "rgb"
        order_text = ", channels in the order BGR" if channel_order == "bgr" else ""
        listing = ", ".join(self.texts)
        return replace(
            default,
            mean=(input_range.mean,) * default.channels,
            std=(input_range.std,) * default.channels,
            scale=input_range.scale,
            channel_order=channel_order,
            source=f"{origin} ({listing}) take {input_range.name}{order_text}",
            assumed=False,
        )

    def _find_range(self) -> InputRange | None:
        """Return the range of images for which the operations make sense; None for none."""
        if any(factor <= 0 or not math.isfinite(factor) for factor in self.factors):
            return None
        return find_range(self._statistics(), of_dataset=bool(self.deviations))

    def _statistics(self) -> list[tuple[float, float]]:
        """Return mean and standard deviation that each channel is normalised with."""
        pairs = []
        for channel in range(self.channels):
            mean = -self.offsets[channel] / self.factors[channel]
            std = 1 / self.factors[channel]
            if self.deviations:
                normalised_mean, normalised_std = self.deviations[channel]
                mean += normalised_mean * std
                std *= normalised_std
            pairs.append((mean, std))
        return pairs

    def _takes_bgr(self, input_range: InputRange) -> bool:
        """Return whether ImageNet's means are subtracted in the order blue, green, red."""
        is_grey = len(set(self.order)) == 1
        return not is_grey and self._has_means(IMAGENET_MEAN[::-1], input_range)

    def _normalises_with(
        self, statistics: Sequence[tuple[float, float]], input_range: InputRange
    ) -> bool:
        """Return whether channels are normalised with these means and standard deviations."""
        means = [mean for mean, _ in statistics]
        deviations = [std for _, std in statistics]
        own_deviations = [std / input_range.largest for _, std in self._of_images()]
        return self._has_means(means, input_range) and _are_close(
            own_deviations, deviations
        )

    def _has_means(
        self, reference_values: Sequence[float], input_range: InputRange
    ) -> bool:
        means = [mean / input_range.largest for mean, _ in self._of_images()]
        return _are_close(means, reference_values)

    def _of_images(self) -> list[tuple[float, float]]:
        """Return the statistics in the order of the images' channels."""
        if len(set(self.order)) < self.channels:
            # of a grey image
            return self._statistics()
        by_channel = dict(zip(self.order, self._statistics(), strict=True))
        return [by_channel[channel] for channel in range(self.channels)]


def _are_close(values: Sequence[float], reference_values: Sequence[float]) -> bool:
    if len(values) != len(reference_values):
        return False
    pairs = zip(values, reference_values, strict=True)
    return all(
        abs(value - target) < STATISTICS_TOLERANCE for value, target in pairs
    )


def _per_channel(numbers: Sequence[float], channels: int) -> list[float]:
    """Return one number for each channel. Raises ValueError where they do not fit."""
    values = [float(number) for number in numbers]
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise ValueError(f"{len(values)} values for {channels} channels")
    return values


def _products(
    values: Sequence[float], factors: Sequence[float]
) -> tuple[float, ...]:
    products = [
        value * factor for value, factor in zip(values, factors, strict=True)
    ]
    return tuple(products)


def _describe(name: str, numbers: Sequence[float]) -> str:
    """Return an operation and its numbers in words, such as ``div 0.229 0.224 0.225``."""
    values = numbers[:1] if len(set(numbers)) == 1 else numbers
    texts = [f"{number:.4g}" for number in values[:NUMBERS_SHOWN]]
    return " ".join([name, *texts])
