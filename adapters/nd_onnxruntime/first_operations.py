"""First operations of a graph on its images: element-wise, with constants, up to a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper

from nd_onnxruntime.document import Document
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.image_input import CHANNELS, ImageInput
from nd_onnxruntime.recorded_values import SHAPE_OPERATORS
from nd_onnxruntime.sessions import CPU_DEVICE, open_session
from nd_onnxruntime.subgraph import extract_subgraph
from nd_onnxruntime.time_limit import TimeLimitExceeded, run_within_limit
from nd_plugin import BadInput, FirstOperations, NDError

Array = npt.NDArray[np.generic]

AXES = 4  # of images
STANDARD_DOMAINS = ("", "ai.onnx")
ARITHMETIC = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
UNCHANGING = (  # operators after which a pixel still has its value, apart from rounding
    "Identity",
    "Dropout",
    "Resize",
    "Upsample",
    "Clip",
    "QuantizeLinear",
    "DequantizeLinear",
)
FLOAT_TYPES = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.DOUBLE,
    TensorProto.BFLOAT16,
)
WEIGHT_INPUTS = {"Conv": 1, "QLinearConv": 3}  # index of a convolution's weight


@dataclass(frozen=True)
class FollowedValue:
    """Value that is the image after some operations, in the order of the graph."""

    name: str
    channel_axis: int
    operations: FirstOperations


def follow_image(
    document: Document, graph: Graph, image: ImageInput
) -> tuple[ImageInput, FirstOperations]:
    """Return the image input with the number of its channels, and the operations that follow it.

    Where the file leaves that number open, it is read from the first layer if it is a convolution.
    Raises BadInput for a number of channels that images do not have.
    """
    follower = Follower(document, graph)
    last_value = follower.follow(image)
    channels = follower.channels_after(last_value)
    if image.declares_channels or channels in (None, image.channels):
        return image, last_value.operations
    if channels not in CHANNELS:
        raise BadInput(
            f"the first convolution takes {channels} channels: images have 3 (RGB) or 1 (grey)"
        )
    image = replace(image, channels=channels)
    return image, follower.follow(image).operations


@dataclass(frozen=True)
class Follower:
    """Reader of the operations that follow the image input of a graph."""

    document: Document
    graph: Graph

    def follow(self, image: ImageInput) -> FollowedValue:
        """Follow the image while a single operation uses it, whose effect is known."""
        channel_axis = AXES - 1 if image.channels_last else 1
        operations = FirstOperations.none(image.channels)
        value = FollowedValue(image.name, channel_axis, operations)
        while True:
            next_value = self._next(value)
            if next_value is None:
                return value
            value = next_value

    def channels_after(self, value: FollowedValue) -> int | None:
        """Return the channels that the convolution after a value takes; None for another layer."""
        node = self._only_user(value.name)
        if node is None or node.op_type not in WEIGHT_INPUTS:
            return None
        weight = self._constant(node.input[WEIGHT_INPUTS[node.op_type]])
        if weight is None or weight.ndim != AXES:
            return None
        groups: int = _attribute(node, "group", 1)
        channels: int = weight.shape[1]
        return channels * groups

    def _next(self, value: FollowedValue) -> FollowedValue | None:
        node = self._only_user(value.name)
        is_last = bool(value.operations.deviations)
        if node is None or is_last or node.domain not in STANDARD_DOMAINS:
            return None
        rule = RULES.get(node.op_type)
        if rule is None:
            return None
        try:
            return rule(self, node, value)
        except NDError:
            raise
        except Exception:
            # constants of another shape than that of an image's channels, other attributes
            return None

    def _only_user(self, value: str) -> NodeProto | None:
        """Return the one node that uses the elements of a value; None for none or several."""
        users = [
            self.graph.nodes[index] for index in self.graph.users.get(value, ())
        ]
        users = [node for node in users if node.op_type not in SHAPE_OPERATORS]
        return users[0] if len(users) == 1 else None

    def _constant(self, value: str) -> Array | None:
        """Return the array of a value that depends on no input; None for others."""
        if value in self.graph.initializers:
            return self.document.array(self.graph.initializers[value])
        inputs = {item.name for item in self.graph.inputs}
        nodes = self.graph.ancestors([value])
        used = {name for index in nodes for name in self.graph.nodes[index].input}
        if value not in self.graph.producers or used & inputs:
            return None
        try:
            subgraph = extract_subgraph(self.graph, [value], [])
            document = self.document.of_subgraph(subgraph)
            session = open_session(document, CPU_DEVICE, ())
            outputs = run_within_limit(
                lambda options: session.run([value], {}, options),
                f"{self.document.source}: the constant {value!r}",
            )
            return np.asarray(outputs[0])
        except TimeLimitExceeded:
            raise
        except Exception:
            # an operator that ONNX Runtime lacks, whose errors have no common base class
            return None

    def _numbers(self, value: str, channel_axis: int) -> list[float] | None:
        """Return one number, or one for each channel, of a constant; None for other values."""
        constant = self._constant(value)
        if constant is None or constant.ndim > AXES or not constant.size:
            return None
        missing_axes = (1,) * (AXES - constant.ndim)
        by_axis = constant.reshape(missing_axes + constant.shape)
        channels = by_axis.shape[channel_axis]
        rows = np.moveaxis(by_axis, channel_axis, 0).reshape(channels, -1)
        if not (rows == rows[:, :1]).all():
            return None
        numbers: list[float] = rows[:, 0].astype(np.float64).tolist()
        return numbers

    def arithmetic(
        self, node: NodeProto, value: FollowedValue
    ) -> FollowedValue | None:
        """Follow an addition, subtraction, multiplication or division with a constant."""
        first, second = node.input
        constant_first = second == value.name
        operand = first if constant_first else second
        numbers = self._numbers(operand, value.channel_axis)
        if numbers is None:
            return None
        operations = value.operations.computed(
            ARITHMETIC[node.op_type], numbers, constant_first=constant_first
        )
        return None if operations is None else _after(node, value, operations)

    def unchanging(self, node: NodeProto, value: FollowedValue) -> FollowedValue:
        """Follow an operator that leaves the values of pixels as they are."""
        return _after(node, value, value.operations)

    def cast(self, node: NodeProto, value: FollowedValue) -> FollowedValue | None:
        """Follow a conversion to floats."""
        is_float = _attribute(node, "to", 0) in FLOAT_TYPES
        return _after(node, value, value.operations) if is_float else None

    def transpose(self, node: NodeProto, value: FollowedValue) -> FollowedValue:
        """Follow a transposition, which moves the channels to another axis."""
        order = list(_attribute(node, "perm", range(AXES - 1, -1, -1)))
        channel_axis = order.index(value.channel_axis)
        return replace(value, name=node.output[0], channel_axis=channel_axis)

    def pad(self, node: NodeProto, value: FollowedValue) -> FollowedValue | None:
        """Follow a padding of rows and columns; channels are not padded."""
        pads = self._constant(node.input[1]) if len(node.input) > 1 else None
        amounts = _attribute(node, "pads", [] if pads is None else pads.tolist())
        has_axes = len(amounts) == 2 * AXES
        channel_amounts = amounts[value.channel_axis :: AXES] if has_axes else [1]
        if any(channel_amounts):
            return None
        return _after(node, value, value.operations)

    def gather(self, node: NodeProto, value: FollowedValue) -> FollowedValue | None:
        """Follow a selection of all channels in another order."""
        indices = self._constant(node.input[1])
        axis = _attribute(node, "axis", 0) % AXES
        if axis != value.channel_axis or indices is None or indices.ndim != 1:
            return None
        channels = value.operations.channels
        order = [int(index) % channels for index in indices.tolist()]
        return _reordered(node, value, order)

    def slice(self, node: NodeProto, value: FollowedValue) -> FollowedValue | None:
        """Follow a reversal of the channels, or a cut-out of the image."""
        starts, _, axes, steps = self._slice_arguments(node)
        if value.channel_axis not in axes:
            has_all_pixels = set(steps) <= {1}
            return _after(node, value, value.operations) if has_all_pixels else None
        last = value.operations.channels - 1
        is_reversal = (
            axes == [value.channel_axis]
            and steps == [-1]
            and starts[0] in (-1, last)
        )
        order = list(range(last, -1, -1))
        return _reordered(node, value, order) if is_reversal else None

    def _slice_arguments(self, node: NodeProto) -> list[list[int]]:
        """Return starts, ends, axes and steps. Raises ValueError where they are not constant."""
        arguments: list[list[int]] = []
        for name in node.input[1:]:
            constant = self._constant(name)
            if constant is None:
                raise ValueError(f"{name} is not constant")
            arguments.append([int(number) for number in constant.tolist()])
        count = len(arguments[0])
        defaults = [[], [], list(range(count)), [1] * count]
        starts, ends, axes, steps = arguments + defaults[len(arguments) :]
        return [starts, ends, [axis % AXES for axis in axes], steps]

    def batch_norm(
        self, node: NodeProto, value: FollowedValue
    ) -> FollowedValue | None:
        """Follow a BatchNormalization, whose channels are in axis 1."""
        means = self._constant(node.input[3])
        variances = self._constant(node.input[4])
        if value.channel_axis != 1 or means is None or variances is None:
            return None
        operations = value.operations.batch_normalised(
            means.tolist(), variances.tolist()
        )
        return _after(node, value, operations)


Rule = Callable[[Follower, NodeProto, FollowedValue], FollowedValue | None]
RULES: dict[str, Rule] = {
    **dict.fromkeys(ARITHMETIC, Follower.arithmetic),
    **dict.fromkeys(UNCHANGING, Follower.unchanging),
    "Cast": Follower.cast,
    "Transpose": Follower.transpose,
    "Pad": Follower.pad,
    "Gather": Follower.gather,
    "Slice": Follower.slice,
    "BatchNormalization": Follower.batch_norm,
}


def _after(
    node: NodeProto, value: FollowedValue, operations: FirstOperations
) -> FollowedValue:
    return replace(value, name=node.output[0], operations=operations)


def _reordered(
    node: NodeProto, value: FollowedValue, order: Sequence[int]
) -> FollowedValue | None:
    """Follow a permutation of the channels; None for a selection of some."""
    if sorted(order) != list(range(value.operations.channels)):
        return None
    operations = value.operations.reordered(order, "channels reversed")
    return _after(node, value, operations)


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default
