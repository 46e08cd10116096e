"""Survey of a model: one forward pass that records shapes and positions of its inner values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch
from onnx import AttributeProto, ModelProto, numpy_helper

from nd_onnxruntime.feeding import required_feeds
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.image_input import ImageInput, Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.operation import Operation
from nd_onnxruntime.rules import output_positions
from nd_onnxruntime.runtime_errors import one_line
from nd_onnxruntime.sessions import CPU_DEVICE, open_session
from nd_onnxruntime.subgraph import extract_subgraph
from nd_plugin import ModelFailed, ModelNotFound, Positions

Array = npt.NDArray[Any]

SMALL = 4096  # elements: shapes, amounts and indices are at most that large
GROUP_BYTES = 2**28  # of values fetched from ONNX Runtime in one run
ASSUMED_BYTES = 2**24  # of a value whose shape is not declared
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Survey:
    """Properties of a model's values, by name, as recorded in one forward pass."""

    shapes: Mapping[str, torch.Size]  # of tensors; sequences and maps have none
    is_float: Mapping[str, bool]  # of the tensors that nodes computed
    positions: Mapping[
        str, Positions
    ]  # of the values whose elements can be located in the image
    batch_size: int  # 2; 1 where the model takes no two images or mixes them


@dataclass
class _Record:
    """Shapes, types and small values, collected one by one."""

    shapes: dict[str, torch.Size] = field(default_factory=dict)
    is_float: dict[str, bool] = field(default_factory=dict)
    small_values: dict[str, Array] = field(default_factory=dict)

    def add_output(self, name: str, array: Array) -> None:
        self.shapes[name] = torch.Size(array.shape)
        self.is_float[name] = array.dtype.kind == "f"
        if array.size <= SMALL:
            self.small_values[name] = array


def survey(model: LoadedModel, values: Sequence[str], size: Size) -> Survey:
    """Run the nodes that ``values`` need on two noise images, and record all their outputs.

    One image is used instead if the model fails on two, or if it mixes them so that elements can
    not be assigned to an image. Raises ModelFailed.
    """
    try:
        pair = _survey_batch(model, values, size, 2)
    except (ModelFailed, ModelNotFound):
        return _survey_batch(model, values, size, 1)
    if any(_mixes_images(pair, value) for value in values):
        return _survey_batch(model, values, size, 1)
    return pair


def _mixes_images(pair: Survey, value: str) -> bool:
    """Return whether a value has positions, but elements that belong to neither of two images."""
    shape = pair.shapes.get(value)
    positions = pair.positions.get(value)
    if shape is None or positions is None or len(shape) < 2:
        return False
    images = positions.images
    located = images[~images.isnan()]  # class tokens have no position
    return set(located.tolist()) != {0.0, 1.0}


def _survey_batch(
    model: LoadedModel, values: Sequence[str], size: Size, batch_size: int
) -> Survey:
    graph = model.graph
    indices = sorted(graph.ancestors(values))
    outputs = _outputs(graph, indices)
    subgraph = extract_subgraph(graph, outputs, model.declared_inputs(batch_size, size))
    inputs = _input_arrays(model, subgraph, size, batch_size)

    record = _known_values(graph)
    for name, array in inputs.items():
        record.shapes[name] = torch.Size(array.shape)
    document = model.document.of_subgraph(subgraph)
    session = open_session(document, CPU_DEVICE, model.custom_ops, optimised=False)
    for names in _groups(session):
        for name, output in _run(session, names, inputs, batch_size):
            if isinstance(output, np.ndarray):
                record.add_output(name, output)

    start = _image_positions(model.image, batch_size, size)
    positions = _propagate(graph, indices, record, start)
    return Survey(record.shapes, record.is_float, positions, batch_size)


def _outputs(graph: Graph, indices: Sequence[int]) -> list[str]:
    """Return the outputs of the nodes at ``indices``, constants left out."""
    outputs: list[str] = []
    for index in indices:
        node = graph.nodes[index]
        if node.op_type != "Constant":
            outputs += [value for value in node.output if value]
    return outputs


def _input_arrays(
    model: LoadedModel, subgraph: ModelProto, size: Size, batch_size: int
) -> dict[str, Array]:
    """Return the arrays to run a subgraph with: its feeds, and noise if it takes the image."""
    image = model.image
    declared = subgraph.graph.input
    arrays: dict[str, Array] = {}
    for name, feed in required_feeds(declared, image, model.feeds).items():
        arrays[name] = feed.for_batch(batch_size)
    if any(value.name == image.name for value in declared):
        arrays[image.name] = image.prepare(image.noise(batch_size, size)).numpy()
    return arrays


def _known_values(graph: Graph) -> _Record:
    """Record the weights and constants of a graph, small ones with their values."""
    record = _Record()
    for name, tensor in graph.initializers.items():
        record.shapes[name] = torch.Size(tensor.dims)
        if record.shapes[name].numel() <= SMALL and not tensor.external_data:
            record.small_values[name] = np.asarray(numpy_helper.to_array(tensor))
    for node in graph.nodes:
        if node.op_type != "Constant" or node.output[0] in record.small_values:
            continue
        attribute = node.attribute[0]
        if attribute.name != "value":
            array = _attribute_array(attribute)
            record.small_values[node.output[0]] = array
            record.shapes[node.output[0]] = torch.Size(array.shape)
    return record


def _attribute_array(attribute: AttributeProto) -> Array:
    """Return the number or numbers of a Constant node's attribute other than ``value``."""
    return np.array(attribute.ints or attribute.floats or attribute.i or attribute.f)


def _run(
    session: ort.InferenceSession,
    names: Sequence[str],
    inputs: Mapping[str, Array],
    batch_size: int,
) -> Iterator[tuple[str, Any]]:
    """Compute the outputs called ``names``. Raises ModelFailed."""
    try:
        outputs = session.run(names, inputs)
    except Exception as error:  # ONNX Runtime's errors have no common base class
        images = "one image" if batch_size == 1 else f"{batch_size} images"
        raise ModelFailed(f"the model failed on {images}: {one_line(error)}") from error
    return zip(names, outputs, strict=True)


def _groups(session: ort.InferenceSession) -> list[list[str]]:
    """Divide a session's outputs into groups of at most ``GROUP_BYTES``, as far as is known."""
    groups: list[list[str]] = [[]]
    group_bytes = 0
    for output in session.get_outputs():
        output_bytes = _expected_bytes(output.shape)
        if groups[-1] and group_bytes + output_bytes > GROUP_BYTES:
            groups.append([])
            group_bytes = 0
        groups[-1].append(output.name)
        group_bytes += output_bytes
    return groups


def _expected_bytes(shape: Sequence[Any] | None) -> int:
    """Estimate the size of an output from its declared shape."""
    if not shape or not all(isinstance(side, int) for side in shape):
        return ASSUMED_BYTES
    return FLOAT_BYTES * int(prod(shape))


def _image_positions(
    image: ImageInput, batch_size: int, size: Size
) -> dict[str, Positions]:
    """Return the positions of the image input in its own layout."""
    positions = Positions.of_input(torch.Size((batch_size, 3, *size)))
    if image.channels_last:
        shape = torch.Size((batch_size, *size, 3))
        positions = positions.moved(
            lambda coordinate: coordinate.permute(0, 2, 3, 1), shape
        )
    return {image.name: positions}


def _propagate(
    graph: Graph,
    indices: Sequence[int],
    record: _Record,
    start: Mapping[str, Positions],
) -> dict[str, Positions]:
    """Carry positions from the image through the nodes at ``indices``, in topological order."""
    positions = dict(start)
    for index in indices:
        node = graph.nodes[index]
        operation = Operation(
            node,
            input_shapes=[record.shapes.get(name) for name in node.input],
            input_positions=[positions.get(name) for name in node.input],
            input_values=[record.small_values.get(name) for name in node.input],
            output_shapes=[record.shapes.get(name) for name in node.output],
            output_index=0,
        )
        for output_index, name in enumerate(node.output):
            output = _positions_or_none(replace(operation, output_index=output_index))
            if name and output is not None:
                positions[name] = output
    return positions


def _positions_or_none(operation: Operation) -> Positions | None:
    """Apply the rule of an operator; None where its form is one that the rule does not cover.

    The layers behind it are then reported without a receptive-field geometry.
    """
    try:
        return output_positions(operation)
    except Exception:  # any misfit of shapes, axes or attributes
        return None
