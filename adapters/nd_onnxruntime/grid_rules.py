"""Rules for operators on maps (image, unit, row, column): convolution, pooling, resizing, padding.

Each is a `Rule`: it composes receptive fields as docs/method.md describes, rows and columns apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from nd_onnxruntime.operation import Operation
from nd_onnxruntime.operators import (
    QUANTISED_CONVOLUTIONS,
    UPSAMPLES,
    operator_of,
)
from nd_onnxruntime.pixel_blocks import centred, summed_over_units
from nd_plugin import Axis, Positions, composition, geometry

# source cells mixed in one, by interpolation mode
TAPS = {"nearest": 1, "linear": 2, "cubic": 4}
UNSUPPORTED_RESIZE = ("tf_crop_and_resize", "half_pixel_symmetric")


class Window(NamedTuple):
    """Sliding window of a convolution or pooling along one axis, in cells."""

    kernel: int
    stride: int
    padding: int  # before the first cell
    dilation: int


def convolution(operation: Operation) -> Positions | None:
    """Follow a convolution, which sums over the units of a group."""
    if operation.attribute("group", 1) == 1:
        return _slide(operation, summed_over_units(operation.source))
    return pooling(operation)


def fused_convolution(operation: Operation) -> Positions | None:
    """Follow a convolution that adds its fourth input, if it has one, to the result."""
    convolved = convolution(operation)
    summands = [convolved, *operation.input_positions[3:4]]
    branches = [branch for branch in summands if branch is not None]
    if convolved is None:
        return None
    return composition.elementwise(branches, operation.shape)


def pooling(operation: Operation) -> Positions | None:
    """Follow a pooling."""
    return _slide(operation, centred(operation.source))


def _slide(operation: Operation, source: Positions) -> Positions | None:
    """Slide the window of a convolution or pooling over maps at ``source``."""
    windows = _windows(operation)

    def convolved(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.convolve(axis, *windows[dimension])

    return composition.per_axis(source, convolved, operation.shape)


def transposed_convolution(operation: Operation) -> Positions | None:
    """Follow a ConvTranspose.

    Under auto_pad or a fixed output_shape, the padding is derived from the output's shape.
    """
    windows = _windows(operation)
    output_padding = operation.attribute("output_padding", [0, 0])
    auto_pad = operation.attribute("auto_pad", "NOTSET")
    explicit_padding = (
        auto_pad == "NOTSET" and operation.attribute("output_shape") is None
    )

    def transposed(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        kernel, stride, padding, dilation = windows[dimension]
        if not explicit_padding:
            reach = (kernel - 1) * dilation + 1
            unpadded = stride * (cells - 1) + output_padding[dimension] + reach
            padding = _leading_half(
                unpadded - target, longer=auto_pad == "SAME_UPPER"
            )
        return geometry.transpose_convolve(axis, kernel, stride, padding, dilation)

    return composition.per_axis(
        centred(operation.source), transposed, operation.shape
    )


def global_pooling(operation: Operation) -> Positions | None:
    """Follow a global pooling: no geometry, unless the map has a single cell already."""
    cells = operation.source.shape[2:]
    return operation.source if operation.shape[2:] == cells else None


def resizing(operation: Operation) -> Positions | None:
    """Follow a Resize, or Upsample before opset 10; None for modes without a regular grid."""
    is_upsample = (
        len(operation.node.input) == 2 or operator_of(operation.node) in UPSAMPLES
    )
    mode = operation.attribute("mode", "nearest")
    default_transform = "asymmetric" if is_upsample else "half_pixel"
    transform = operation.attribute(
        "coordinate_transformation_mode", default_transform
    )
    if transform in UNSUPPORTED_RESIZE or len(operation.shape) != 4:
        return None
    scales = _stated_scales(operation, 1 if is_upsample else 2)
    taps = TAPS.get(mode, 2)

    def resized(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        if transform == "pytorch_half_pixel" and target == 1:
            size = axis.size + (taps - 1) * abs(axis.stride)
            return Axis(size, axis.stride * cells, axis.offset)
        return geometry.resize(
            axis,
            cells,
            target,
            align_corners=transform == "align_corners",
            asymmetric=transform == "asymmetric" and mode != "nearest",
            scale=scales[dimension],
            taps=taps,
        )

    return composition.per_axis(centred(operation.source), resized, operation.shape)


def depth_to_space(operation: Operation) -> Positions | None:
    """Follow a DepthToSpace: a cell becomes a block of cells."""

    def divided(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.resize(axis, cells, target, taps=1)

    return composition.per_axis(centred(operation.source), divided, operation.shape)


def space_to_depth(operation: Operation) -> Positions | None:
    """Follow a SpaceToDepth: a block of cells becomes one cell."""
    block = int(operation.attribute("blocksize"))

    def gathered(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.convolve(axis, block, block)

    return composition.per_axis(
        centred(operation.source), gathered, operation.shape
    )


def padding(operation: Operation) -> Positions | None:
    """Follow a Pad by constant amounts, listed first before all axes, then after all axes."""
    amounts = operation.integers(1, "pads")
    if amounts is None:
        return None
    rank = len(operation.shape)
    axes = operation.integers(3) or list(range(rank))
    count = len(amounts) // 2
    amounts_by_axis: dict[int, tuple[int, int]] = {}
    for position in range(count):
        axis = axes[position] % rank
        amounts_by_axis[axis] = (amounts[position], amounts[count + position])
    return composition.padded(operation.source, amounts_by_axis, operation.shape)


def _windows(operation: Operation) -> list[Window]:
    """Return the windows along rows and columns."""
    kernel = _kernel(operation)
    strides = operation.attribute("strides", [1, 1])
    dilations = operation.attribute("dilations", [1, 1])
    windows = []
    for dimension in (0, 1):
        unpadded = Window(
            kernel[dimension], strides[dimension], 0, dilations[dimension]
        )
        padding_before = _padding(operation, unpadded, dimension)
        windows.append(unpadded._replace(padding=padding_before))
    return windows


def _kernel(operation: Operation) -> Sequence[int]:
    """Return the kernel's size along rows and columns: an attribute, or that of the weights."""
    stated = operation.attribute("kernel_shape")
    if stated:
        return list(stated)
    is_quantised = operator_of(operation.node) in QUANTISED_CONVOLUTIONS
    return operation.input_shape(3 if is_quantised else 1)[2:]


def _padding(operation: Operation, window: Window, dimension: int) -> int:
    """Return the padding before the first cell, as stated or as auto_pad defines it."""
    auto_pad = operation.attribute("auto_pad", "NOTSET")
    if auto_pad == "VALID":
        return 0
    if not auto_pad.startswith("SAME"):
        return int(operation.attribute("pads", [0, 0, 0, 0])[dimension])
    cells = operation.input_shape(0)[2 + dimension]
    reach = (window.kernel - 1) * window.dilation + 1
    covered = (ceil(cells / window.stride) - 1) * window.stride + reach
    return _leading_half(max(covered - cells, 0), longer=auto_pad != "SAME_UPPER")


def _leading_half(total: int, *, longer: bool) -> int:
    """Return the half of an amount that goes before the cells; of an odd one, the longer half."""
    return total - total // 2 if longer else total // 2


def _stated_scales(operation: Operation, index: int) -> Sequence[float | None]:
    """Return the scales along rows and columns that the node states; else None for each."""
    scales = (
        operation.input_values[index] if len(operation.input_values) > 1 else None
    )
    if scales is None:
        scales = np.array(operation.attribute("scales", []), np.float64)
    if len(scales) < 2:
        return (None, None)
    return (float(scales[-2]), float(scales[-1]))
