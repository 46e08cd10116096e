"""Rules for operations on maps (image, unit, row, column): windows, resizing, padding, blocks.

OpenVINO has resolved ``auto_pad`` when shapes are known: ``pads_begin`` is what is added.
"""

from __future__ import annotations

from nd_openvino.operation import Operation
from nd_plugin import Axis, Positions, composition, geometry

# source cells mixed in one, by the mode of an Interpolate
TAPS = {"nearest": 1, "cubic": 4, "bicubic_pillow": 4}
LINEAR_TAPS = 2
# neighbours whose even spacing starts half a cell off
UNEVEN = ("tf_half_pixel_for_nn",)


def convolution(operation: Operation) -> Positions | None:
    """Follow a convolution, of groups or not."""
    return _slide(operation, list(operation.input_shape(1)[-2:]))


def pooling(operation: Operation) -> Positions | None:
    """Follow a pooling."""
    return _slide(operation, operation.attributes["kernel"])


def _slide(operation: Operation, kernel: list[int]) -> Positions | None:
    attributes = operation.attributes
    strides = attributes["strides"]
    padding = attributes["pads_begin"]
    dilations = attributes.get("dilations", [1, 1])

    def convolved(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.convolve(
            axis,
            kernel[dimension],
            strides[dimension],
            padding[dimension],
            dilations[dimension],
        )

    return composition.per_axis(operation.source, convolved, operation.shape)


def transposed_convolution(operation: Operation) -> Positions | None:
    """Follow a ConvolutionBackpropData, which is a transposed convolution."""
    attributes = operation.attributes
    kernel = operation.input_shape(1)[-2:]

    def transposed(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.transpose_convolve(
            axis,
            kernel[dimension],
            attributes["strides"][dimension],
            attributes["pads_begin"][dimension],
            attributes["dilations"][dimension],
        )

    return composition.per_axis(operation.source, transposed, operation.shape)


def adaptive_pooling(operation: Operation) -> Positions | None:
    """Follow an adaptive pooling; to a single cell it leaves no geometry."""
    if tuple(operation.shape[2:]) == (1, 1):
        return None

    def pooled(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.adaptive_pool(axis, cells, target)

    return composition.per_axis(operation.source, pooled, operation.shape)


def resizing(operation: Operation) -> Positions | None:
    """Follow an Interpolate; None where it pads, or has no regular grid."""
    attributes = operation.attributes
    transform = attributes["coordinate_transformation_mode"]
    is_padded = any(attributes["pads_begin"]) or any(attributes["pads_end"])
    if transform in UNEVEN or is_padded:
        return None
    mode = attributes["mode"]

    def resized(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.resize(
            axis,
            cells,
            target,
            align_corners=transform == "align_corners",
            asymmetric=transform == "asymmetric" and mode != "nearest",
            taps=TAPS.get(mode, LINEAR_TAPS),
        )

    return composition.per_axis(operation.source, resized, operation.shape)


def padding(operation: Operation) -> Positions | None:
    """Follow a Pad by constant amounts before and after each axis."""
    pairs = zip(operation.integers(1), operation.integers(2), strict=True)
    amounts = dict(enumerate(pairs))
    return composition.padded(operation.source, amounts, operation.shape)


def depth_to_space(operation: Operation) -> Positions | None:
    """Follow a DepthToSpace: a cell becomes a block of cells."""

    def divided(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.resize(axis, cells, target, taps=1)

    return composition.per_axis(operation.source, divided, operation.shape)


def space_to_depth(operation: Operation) -> Positions | None:
    """Follow a SpaceToDepth: a block of cells becomes one cell."""
    block = int(operation.attributes["block_size"])

    def gathered(axis: Axis, cells: int, target: int, dimension: int) -> Axis:
        return geometry.convolve(axis, block, block)

    return composition.per_axis(operation.source, gathered, operation.shape)
