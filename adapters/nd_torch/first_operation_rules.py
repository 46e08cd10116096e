"""Rules of the operations by which a model prepares images: what each makes of their channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from nd_plugin import FirstOperations

ARITHMETIC = {
    "add": "add",
    "add_": "add",
    "sub": "sub",
    "sub_": "sub",
    "subtract": "sub",
    "mul": "mul",
    "mul_": "mul",
    "div": "div",
    "div_": "div",
}
UNCHANGING = (  # operations after which a pixel still has its value
    "_to_copy",
    "alias",
    "clamp",
    "clone",
    "contiguous",
    "detach",
    "lift_fresh",
    "reflection_pad2d",
    "replication_pad2d",
    "upsample_bicubic2d",
    "_upsample_bicubic2d_aa",
    "upsample_bilinear2d",
    "_upsample_bilinear2d_aa",
    "upsample_nearest2d",
)


@dataclass(frozen=True)
class ImageState:
    """Images after some operations."""

    channel_axis: int
    operations: FirstOperations
    # number of equal channels that a grey image was copied to
    copies: int = 1


def follow(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    images: Tensor,
    state: ImageState,
) -> ImageState | None:
    """Return what an operation makes of images; None where they are images no more."""
    try:
        if name in UNCHANGING:
            return state
        if name in ARITHMETIC:
            return _compute(name, args, kwargs, images, state)
        rule = RULES.get(name)
        return None if rule is None else rule(images, state, args)
    except (ValueError, IndexError, TypeError):
        # constants of another shape than that of an image's channels
        return None


def _slice(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow a cut-out of the image; none of every other row or column."""
    axis = args[1] if len(args) > 1 else 0
    step = args[4] if len(args) > 4 else 1
    is_cut_out = axis % images.dim() != state.channel_axis and step == 1
    return state if is_cut_out else None


def _expand(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow an expansion of a grey image to equal channels, or to the shape that it has."""
    sizes = list(zip(args[1], images.shape, strict=True))
    if all(size in (-1, length) for size, length in sizes):
        return state
    return copy_grey(images, state, args[1][state.channel_axis])


def _repeat(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow a repetition of a grey image."""
    counts = list(args[1])
    count = counts.pop(state.channel_axis)
    return copy_grey(images, state, count) if set(counts) <= {1} else None


def copy_grey(images: Tensor, state: ImageState, count: int) -> ImageState | None:
    """Follow a copying of grey images to several channels; None for images in colour."""
    if images.shape[state.channel_axis] != 1:
        return None
    operations = state.operations.repeated(count, f"{count} equal channels")
    return replace(state, operations=operations, copies=count)


def _pad(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow a padding of rows and columns; channels are not padded."""
    # pairs of amounts, of the last axis first
    amounts = args[1][2 * (images.dim() - 1 - state.channel_axis) :][:2]
    return None if any(amounts) else state


def _compute(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    images: Tensor,
    state: ImageState,
) -> ImageState | None:
    """Follow an addition, subtraction, multiplication or division with a constant."""
    constant_first = args[0] is not images
    numbers = _numbers(args[0] if constant_first else args[1], images, state)
    multiplier = kwargs.get("alpha", 1)
    is_rounded = kwargs.get("rounding_mode") is not None
    if numbers is None or is_rounded or (constant_first and multiplier != 1):
        return None
    operations = state.operations.computed(
        ARITHMETIC[name],
        [number * multiplier for number in numbers],
        constant_first=constant_first,
    )
    return None if operations is None else replace(state, operations=operations)


def _numbers(operand: Any, images: Tensor, state: ImageState) -> list[float] | None:
    """Return one number, or one for each channel, of a constant; None for other values."""
    if isinstance(operand, int | float):
        return [float(operand)]
    if not isinstance(operand, Tensor) or operand.dim() > images.dim():
        return None
    missing_axes = (1,) * (images.dim() - operand.dim())
    by_axis = operand.reshape(missing_axes + tuple(operand.shape))
    rows = by_axis.movedim(state.channel_axis, 0).flatten(1)
    if not bool((rows == rows[:, :1]).all()):
        return None
    numbers: list[float] = rows[:, 0].double().tolist()
    return numbers


def _permute(images: Tensor, state: ImageState, args: Sequence[Any]) -> ImageState:
    order = [axis % images.dim() for axis in args[1]]
    return replace(state, channel_axis=order.index(state.channel_axis))


def _transpose(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState:
    order = list(range(images.dim()))
    first, second = args[1:3]
    order[first], order[second] = order[second], order[first]
    return replace(state, channel_axis=order.index(state.channel_axis))


def _flip(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow a reversal of the channels."""
    if [axis % images.dim() for axis in args[1]] != [state.channel_axis]:
        return None
    channels = state.operations.channels
    return _reordered(state, range(channels - 1, -1, -1))


def _index(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow a selection of all channels in another order."""
    indexed_axes = [axis for axis, index in enumerate(args[1]) if index is not None]
    if indexed_axes != [state.channel_axis]:
        return None
    return _reordered(state, args[1][state.channel_axis].tolist())


def _reordered(state: ImageState, order: Sequence[int]) -> ImageState | None:
    if sorted(order) != list(range(state.operations.channels)):
        return None
    operations = state.operations.reordered(order, "channels reversed")
    return replace(state, operations=operations)


def _without_axis(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow a selection of one image, or of each, from a batch."""
    axis = args[1] if len(args) > 1 else 0
    if axis % images.dim() != 0 or state.channel_axis == 0:
        return None
    return replace(state, channel_axis=state.channel_axis - 1)


def _with_axis(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow an insertion of an axis before all others."""
    if args[1] != 0:
        return None
    return replace(state, channel_axis=state.channel_axis + 1)


def _view(
    images: Tensor, state: ImageState, args: Sequence[Any]
) -> ImageState | None:
    """Follow a change of shape that leaves the axes up to the channels as they are."""
    axes = state.channel_axis + 1
    has_same_axes = list(args[1][:axes]) == list(images.shape[:axes])
    return state if has_same_axes else None


RULES: dict[str, Callable[[Tensor, ImageState, Any], ImageState | None]] = {
    "constant_pad_nd": _pad,
    "expand": _expand,
    "repeat": _repeat,
    "slice": _slice,
    "permute": _permute,
    "transpose": _transpose,
    "flip": _flip,
    "index": _index,
    "select": _without_axis,
    "unbind": _without_axis,
    "unsqueeze": _with_axis,
    "view": _view,
    "_unsafe_view": _view,
    "reshape": _view,
}
