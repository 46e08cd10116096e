"""How each kind of ONNX operator carries positions from its operands to its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import NodeProto, helper

from nd_onnxruntime.operators import ATTENTION, ELEMENTWISE, PRODUCTS, RESHAPES, WEIGHTS
from nd_plugin import Axis, Positions, composition, geometry

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Operation:
    """A node with what is known of its operands and results."""

    node: NodeProto
    shapes: Sequence[torch.Size | None]  # of the inputs
    positions: Sequence[Positions | None]  # of the inputs; None where they do not derive from the image
    values: Sequence[Values | None]  # of the inputs, where they are few
    outputs: Sequence[torch.Size | None]  # shapes

    def attribute(self, name: str, otherwise: Any = None) -> Any:
        """The value of an attribute."""
        found = next((one for one in self.node.attribute if one.name == name), None)
        value = helper.get_attribute_value(found) if found is not None else otherwise
        return value.decode() if isinstance(value, bytes) else value

    def numbers(self, place: int, name: str = "") -> list[int] | None:
        """Integers given as an input or, in earlier opsets, as an attribute; None where there are none."""
        value = self.values[place] if place < len(self.values) else None
        given = value.reshape(-1).tolist() if value is not None else self.attribute(name)
        return None if given is None else [int(number) for number in given]

    def shape(self, place: int) -> torch.Size:
        """Of an input."""
        found = self.shapes[place]
        assert found is not None
        return found

    @property
    def source(self) -> Positions | None:
        """Positions of the first input."""
        return self.positions[0] if self.positions else None


Rule = Callable[[Operation, Positions, torch.Size], Positions | None]  # of the first input, to a shape


def carried(operation: Operation, place: int) -> Positions | None:
    """The positions of a node's result, the ``place``-th; None where they are not known."""
    kind, shape = operation.node.op_type, operation.outputs[place]
    if shape is None or not any(part is not None for part in operation.positions):
        return None
    if kind in ELEMENTWISE:
        return composition.elementwise([part for part in operation.positions if part is not None], shape)
    if kind in PRODUCTS:
        right = operation.positions[PRODUCTS[kind]] if PRODUCTS[kind] < len(operation.positions) else None
        return composition.product(operation.source, right, shape)
    if kind in ("Concat", "QLinearConcat"):
        return _concatenation(operation, shape)
    if kind == "Split":
        return _split(operation, place, shape)
    rule = RULES.get(kind)
    return rule(operation, operation.source, shape) if rule and operation.source is not None else None


def _window(operation: Operation, kernel: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Kernel, stride, padding before and dilation along rows and columns."""
    strides, dilations = (operation.attribute(name, [1, 1]) for name in ("strides", "dilations"))
    pads, auto = operation.attribute("pads", [0, 0, 0, 0]), operation.attribute("auto_pad", "NOTSET")
    found = []
    for axis in (0, 1):
        before = pads[axis]
        if auto.startswith("SAME"):
            cells, stride = operation.shape(0)[2 + axis], strides[axis]
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            total = max((ceil(cells / stride) - 1) * stride + reach - cells, 0)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
        found.append((kernel[axis], strides[axis], 0 if auto == "VALID" else before, dilations[axis]))
    return found


def _kernel(operation: Operation) -> list[int]:
    own = operation.attribute("kernel_shape")
    return list(own or operation.shape(WEIGHTS.get(operation.node.op_type, 1))[2:])


def _convolution(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    window = _window(operation, _kernel(operation))
    return composition.per_axis(source, lambda axis, n, m, i: geometry.convolve(axis, *window[i]), shape)


def _transposed(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    window = _window(operation, _kernel(operation))
    more, auto = operation.attribute("output_padding", [0, 0]), operation.attribute("auto_pad", "NOTSET")
    given = auto == "NOTSET" and operation.attribute("output_shape") is None

    def axis(before: Axis, cells: int, target: int, place: int) -> Axis:
        kernel, stride, padding, dilation = window[place]
        if not given:
            total = stride * (cells - 1) + more[place] + (kernel - 1) * dilation + 1 - target
            padding = total - total // 2 if auto == "SAME_UPPER" else total // 2
        return geometry.transpose_convolve(before, kernel, stride, padding, dilation)

    return composition.per_axis(source, axis, shape)


def _global_pool(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    return source if shape[2:] == source.shape[2:] else None


def _resize(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Resize, and Upsample before opset 10."""
    early = len(operation.node.input) == 2 or operation.node.op_type == "Upsample"
    mode = operation.attribute("mode", "nearest")
    how = operation.attribute("coordinate_transformation_mode", "asymmetric" if early else "half_pixel")
    scales = operation.values[1 if early else 2] if len(operation.values) > 1 else None
    scales = scales if scales is not None else np.array(operation.attribute("scales", []), np.float64)
    if how in ("tf_crop_and_resize", "half_pixel_symmetric") or len(shape) != 4:
        return None
    factors = [float(scales[-2]), float(scales[-1])] if len(scales) >= 2 else [None, None]
    taps = {"nearest": 1, "linear": 2, "cubic": 4}.get(mode, 2)

    def axis(before: Axis, cells: int, target: int, place: int) -> Axis:
        if how == "pytorch_half_pixel" and target == 1:
            return Axis(before.size + (taps - 1) * abs(before.stride), before.stride * cells, before.offset)
        corners, first = how == "align_corners", how == "asymmetric" and mode != "nearest"
        return geometry.resize(
            before, cells, target, align_corners=corners, asymmetric=first, scale=factors[place], taps=taps
        )

    return composition.per_axis(source, axis, shape)


def _depth_to_space(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    return composition.per_axis(source, lambda axis, n, m, _: geometry.resize(axis, n, m, taps=1), shape)


def _space_to_depth(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    block = int(operation.attribute("blocksize"))
    return composition.per_axis(source, lambda axis, *_: geometry.convolve(axis, block, block), shape)


def _pad(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    amounts = operation.numbers(1, "pads")
    if amounts is None:
        return None
    axes = operation.numbers(3) or list(range(len(shape)))
    half = len(amounts) // 2
    return composition.padded(
        source, {axes[i] % len(shape): (amounts[i], amounts[half + i]) for i in range(half)}, shape
    )


def _reduction(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    axes = operation.numbers(1, "axes")
    return composition.reduction(source, axes or list(range(len(source.shape))), shape)


def _transpose(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    order = operation.attribute("perm") or list(reversed(range(len(shape))))
    return source.moved(lambda c: c.permute(*order), shape)


def _reshape(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    return source.moved(lambda c: c.reshape(shape), shape)


def _expand(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    return source.spread(shape)


def _tile(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    repeats = operation.numbers(1)
    return source.moved(lambda c: c.repeat(repeats), shape) if repeats else None


def _slice(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    starts, ends = operation.numbers(1, "starts"), operation.numbers(2, "ends")
    if starts is None or ends is None:
        return None
    axes = operation.numbers(3, "axes") or list(range(len(starts)))
    steps = operation.numbers(4) or [1] * len(starts)

    def move(coordinate: torch.Tensor) -> torch.Tensor:
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            places = range(coordinate.shape[axis])[slice(start, end if abs(end) < 2**31 else None, step)]
            coordinate = coordinate.index_select(axis, torch.tensor(list(places), dtype=torch.int64, device="cpu"))
        return coordinate

    return source.moved(move, shape)


def _gather(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    indices, axis = operation.numbers(1), int(operation.attribute("axis", 0))
    if indices is None:
        return None
    chosen = torch.tensor(indices, dtype=torch.int64, device="cpu") % source.shape[axis]
    return source.moved(lambda c: c.index_select(axis, chosen).reshape(shape), shape)


def _split(operation: Operation, place: int, shape: torch.Size) -> Positions | None:
    axis, source = int(operation.attribute("axis", 0)), operation.source
    before = [output[axis] for output in operation.outputs[:place] if output is not None]
    if source is None or len(before) != place:
        return None
    return source.moved(lambda c: c.narrow(axis, sum(before), shape[axis]), shape)


def _concatenation(operation: Operation, shape: torch.Size) -> Positions | None:
    begin, step = (2, 3) if operation.node.op_type == "QLinearConcat" else (0, 1)
    parts = [(operation.shape(i), operation.positions[i]) for i in range(begin, len(operation.node.input), step)]
    return composition.concatenation(parts, int(operation.attribute("axis", 1)), shape)


def _first(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    return composition.elementwise([source], shape)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Conv", "QLinearConv", "ConvInteger", "FusedConv"), _convolution),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool"), _convolution),
    "ConvTranspose": _transposed,
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "QLinearGlobalAveragePool"), _global_pool),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Pad": _pad,
    **dict.fromkeys(
        ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceProd", "ReduceLogSum")
        + ("ReduceLogSumExp", "ReduceSumSquare", "QLinearReduceMean"),
        _reduction,
    ),
    "Transpose": _transpose,
    **dict.fromkeys(RESHAPES, _reshape),
    "Expand": _expand,
    "Tile": _tile,
    "Slice": _slice,
    "Gather": _gather,
    **dict.fromkeys(ATTENTION, _first),
}
