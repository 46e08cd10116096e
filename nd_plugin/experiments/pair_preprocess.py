"""Preprocessing of two models that are compared: each gets its own images, and guesses are said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from nd_plugin.preprocess import Preprocess
from nd_plugin.receptive_fields.geometry import Size

MODEL = "MODEL"  # first of the two
ORIGIN = "ORIGIN"
COLOUR_VALUES = ("mean", "std")  # a preprocessing without them is assumed
# how the pixels of an image become numbers, once it is resized
NORMALISATION = ("mean", "std", "scale", "source", "assumed")


@dataclass(frozen=True)
class PairPreprocess(Preprocess):
    """Preprocessing for two models at once: the first's channels, then the second's.

    Both models get images of one size. Apart from that each image is resized and normalised as if
    for one model alone.
    """

    first: Preprocess = field(default_factory=Preprocess)
    second: Preprocess = field(default_factory=Preprocess)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, first: Preprocess, second: Preprocess, notes: Sequence[str] = ()
    ) -> PairPreprocess:
        """Combine two preprocessings of one size."""
        names = [each.name for each in fields(second)]
        values = {name: getattr(second, name) for name in names}
        values["source"] = f"{MODEL}: {first.source}; {ORIGIN}: {second.source}"
        # what is assumed is said in the notes
        values["assumed"] = False
        return cls(**values, first=first, second=second, notes=tuple(notes))

    def resize(self, image: Image.Image) -> Tensor:
        """Convert an image to the pixels of both models: uint8 (channel, row, column)."""
        first_pixels = self.first.resize(image)
        is_same = _resizing(self.first) == _resizing(self.second)
        second_pixels = first_pixels if is_same else self.second.resize(image)
        return torch.cat([first_pixels, second_pixels])

    def normalise(self, pixels: Tensor) -> Tensor:
        """Normalise the pixels of both models to float32 (image, channel, row, column)."""
        first_pixels, second_pixels = self.split(pixels)
        first_images = self.first.normalise(first_pixels)
        second_images = self.second.normalise(second_pixels)
        return torch.cat([first_images, second_images], dim=1)

    def split(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images of the first and of the second model, each contiguous."""
        channels = len(self.first.mean)
        first_images = images[:, :channels].contiguous()
        second_images = images[:, channels:].contiguous()
        return first_images, second_images


def _resizing(preprocess: Preprocess) -> dict[str, Any]:
    """Return what decides an image's pixels before they are normalised."""
    values = asdict(preprocess)
    return {name: values[name] for name in values if name not in NORMALISATION}


def pair_preprocess(
    first: Preprocess, second: Preprocess, values: Mapping[str, Any], size: Size
) -> PairPreprocess:
    """Choose the preprocessing of both models; ``values`` are those that the user gives.

    A model that states its preprocessing gets its own, one that states none gets the other's, and
    where neither does both get what is assumed. ``values`` replace those of both. The notes say
    what was assumed, and what differs.
    """
    first_base = _base(first, MODEL, second, ORIGIN)
    second_base = _base(second, ORIGIN, first, MODEL)
    first_used = replace(_changed(first_base, values), size=size)
    second_used = replace(_changed(second_base, values), size=size)
    notes = [
        *_assumption_notes(first, first_used, second, second_used),
        *_difference_notes(first_used, second_used),
    ]
    if "size" not in values and first.size != second.size:
        notes.append(_size_note(first.size, second.size, size))
    return PairPreprocess.of(first_used, second_used, notes)


def _base(
    own: Preprocess, role: str, other: Preprocess, other_role: str
) -> Preprocess:
    """Return a model's own preprocessing, or the other's where only that one is stated."""
    is_usable = len(own.mean) == len(other.mean) and not other.assumed
    if not own.assumed or not is_usable:
        return own
    source = f"{other_role}'s, {other.source} ({role} names none)"
    return replace(other, source=source, assumed=True)


def _changed(base: Preprocess, values: Mapping[str, Any]) -> Preprocess:
    """Replace values that the user gives; mean and std together are no assumption any more."""
    given_values = {name: values[name] for name in values if name != "size"}
    if not given_values:
        return base
    is_complete = base.assumed and values.keys() >= set(COLOUR_VALUES)
    listing = ", ".join(given_values)
    source = (
        f"given: {listing}" if is_complete else f"{base.source}; given: {listing}"
    )
    assumed = base.assumed and not is_complete
    return replace(base.changed(given_values), source=source, assumed=assumed)


def describe_values(preprocess: Preprocess) -> str:
    """Return the values of a preprocessing in one line of words."""
    rows, columns = preprocess.size
    mean = " ".join(f"{value:.4g}" for value in preprocess.mean)
    std = " ".join(f"{value:.4g}" for value in preprocess.std)
    scale = "1/255" if preprocess.scale == 1 / 255 else f"{preprocess.scale:.4g}"
    return (
        f"{rows}x{columns}, {preprocess.interpolation}, {preprocess.channel_order}, "
        f"scale {scale}, mean {mean}, std {std}"
    )


def _assumption_notes(
    first: Preprocess,
    first_used: Preprocess,
    second: Preprocess,
    second_used: Preprocess,
) -> list[str]:
    """Return the notes on models whose preprocessing is assumed."""
    remedy = (
        "wrong values change labels; "
        "give the right ones with --mean, --std, --scale and --channel-order"
    )
    if first_used.assumed and second_used.assumed:
        return [
            f"neither {MODEL} nor {ORIGIN} states its preprocessing; "
            f"assumed {_assumed_values(first_used, second_used)}: {remedy}"
        ]
    pairs = (
        (MODEL, first_used, ORIGIN, second),
        (ORIGIN, second_used, MODEL, first),
    )
    return [
        f"{role} states no preprocessing; it is fed what {other_role} states "
        f"({other.source}): {remedy}"
        for role, used, other_role, other in pairs
        if used.assumed
    ]


def _assumed_values(first: Preprocess, second: Preprocess) -> str:
    first_text = f"{describe_values(first)} ({first.source})"
    if _values(first) == _values(second):
        return f"for both: {first_text}"
    second_text = f"{describe_values(second)} ({second.source})"
    return f"for {MODEL}: {first_text}, and for {ORIGIN}: {second_text}"


def _difference_notes(first: Preprocess, second: Preprocess) -> list[str]:
    """Return the note on models that are fed different images; none where they are fed the same."""
    first_values = _values(first)
    second_values = _values(second)
    names = [
        name for name in first_values if first_values[name] != second_values[name]
    ]
    if not names:
        return []
    return [
        f"{MODEL} and {ORIGIN} differ in preprocessing ({', '.join(names)}): "
        "each is fed images in its own way"
    ]


def _values(preprocess: Preprocess) -> dict[str, Any]:
    values = asdict(preprocess)
    return {
        name: values[name] for name in values if name not in ("source", "assumed")
    }


def _size_note(first: Size, second: Size, size: Size) -> str:
    first_text = "x".join(map(str, first))
    second_text = "x".join(map(str, second))
    size_text = "x".join(map(str, size))
    return (
        f"{MODEL} asks for images of {first_text} pixels and {ORIGIN} for {second_text}: "
        f"both are fed {size_text}; --input-size chooses another size"
    )
