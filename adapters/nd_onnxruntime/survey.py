"""Survey of a model: shapes and positions of its inner values, recorded on images of noise."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from onnx import ModelProto

from nd_onnxruntime.feeding import required_feeds
from nd_onnxruntime.fetching import fetch_outputs
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.image_input import ImageInput, Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.operation import Operation
from nd_onnxruntime.operators import operator_of
from nd_onnxruntime.recorded_values import (
    Array,
    RecordedValues,
    record_constants,
    values_of_pixels,
)
from nd_onnxruntime.rules import output_positions
from nd_onnxruntime.sessions import CPU_DEVICE, open_session
from nd_onnxruntime.subgraph import extract_subgraph
from nd_onnxruntime.time_limit import TimeLimitExceeded
from nd_onnxruntime.unread_values import UnreadValue
from nd_onnxruntime.working_size import size_advice
from nd_plugin import ModelFailed, ModelNotFound, NDError, Positions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Survey:
    """Properties of a model's values, by name."""

    shapes: Mapping[str, torch.Size]  # of tensors; sequences and maps have none
    is_float: Mapping[str, bool]  # of the tensors that nodes computed
    positions: Mapping[str, Positions]  # of values whose elements can be located
    batch_size: int  # 2; 1 where the model takes no two images or mixes them
    # types of tensors whose numbers cannot be read: bfloat16
    unread_types: Mapping[str, str] = field(default_factory=dict)
    # names of the values that other pixels change
    pixel_values: Set[str] = frozenset()


def run_survey(
    model: LoadedModel, value_names: Sequence[str], size: Size
) -> Survey:
    """Run the nodes that some values need on two images of noise, and record all their outputs.

    ``size`` is (height, width) in pixels. One image is used instead if the model fails on two, or
    if it mixes them so that elements can not be assigned to an image. Large models run several
    times, each time for a group of outputs that fits in memory.

    Raises ModelFailed if the model fails on one image too, BadInput for an input without a feed,
    and the errors of `open_session`.
    """
    try:
        pair = _survey_batch(model, value_names, 2, size)
    except TimeLimitExceeded:
        raise
    except (ModelFailed, ModelNotFound):
        # shapes in the file may fit one image only
        return survey_one_image(model, value_names, size)
    if any(_lacks_two_separate_images(pair, name) for name in value_names):
        return _survey_batch(model, value_names, 1, size)
    return pair


def survey_one_image(
    model: LoadedModel, value_names: Sequence[str], size: Size
) -> Survey:
    """Survey a model with one image. Raises ModelFailed, which names a size that works."""
    try:
        return _survey_batch(model, value_names, 1, size)
    except TimeLimitExceeded:
        raise
    except ModelFailed as error:
        advice = size_advice(
            model.image, size, lambda candidate: _runs_whole(model, candidate)
        )
        if not advice:
            raise
        raise ModelFailed(f"{error}; {advice}") from error


def _runs_whole(model: LoadedModel, size: Size) -> bool:
    """Return whether the whole model runs on one image of a size."""
    inputs = model.declared_inputs(1, size)
    subgraph = extract_subgraph(model.graph, model.output_names, inputs)
    arrays = _input_arrays(model, subgraph, 1, size)
    try:
        for _ in _outputs(model, subgraph, arrays, 1):
            pass
    except NDError:
        return False
    return True


def _lacks_two_separate_images(pair: Survey, value_name: str) -> bool:
    """Return whether the located elements of a value are not exactly those of images 0 and 1.

    False for values that cannot be layers for other reasons: those without positions, and those
    of fewer than two axes, which have none for images beside one for units.
    """
    positions = pair.positions.get(value_name)
    if positions is None or len(positions.shape) < 2:
        return False
    images = positions.images
    located = images[~images.isnan()]  # class tokens have no position
    return set(located.tolist()) != {0.0, 1.0}


def _survey_batch(
    model: LoadedModel, value_names: Sequence[str], batch_size: int, size: Size
) -> Survey:
    """Survey a model with a batch of noise. Raises ModelFailed, and ModelNotFound on opening it."""
    graph = model.graph
    node_indices = sorted(graph.ancestors(value_names))
    output_names = _output_names(graph, node_indices)
    if not output_names:
        return Survey({}, {}, {}, batch_size)
    subgraph = extract_subgraph(
        graph, output_names, model.declared_inputs(batch_size, size)
    )
    inputs = _input_arrays(model, subgraph, batch_size, size)
    recorded = _record_constants_and_inputs(model, inputs)
    pixel_values = values_of_pixels(graph, node_indices, model.image.name)
    for name, output in _outputs(model, subgraph, inputs, batch_size):
        if isinstance(output, UnreadValue):
            recorded.add_unread(name, output.shape, output.element_type)
        elif isinstance(output, np.ndarray):  # neither a sequence nor a map
            depends_on_pixels = name in pixel_values
            recorded.add_output(name, output, depends_on_pixels=depends_on_pixels)
    start = _image_positions(model.image, batch_size, size)
    positions = _propagate(model, node_indices, recorded, start)
    return Survey(
        recorded.shapes,
        recorded.is_float,
        positions,
        batch_size,
        recorded.unread_types,
        frozenset(pixel_values),
    )


def _record_constants_and_inputs(
    model: LoadedModel, inputs: Mapping[str, Array]
) -> RecordedValues:
    recorded = record_constants(model.document, model.graph)
    for name, array in inputs.items():
        if name == model.image.name:
            recorded.add_image(name, array)
        else:
            recorded.add_constant(name, array)
    return recorded


def _output_names(graph: Graph, node_indices: Sequence[int]) -> list[str]:
    """Return the outputs of some nodes, constants left out."""
    output_names: list[str] = []
    for index in node_indices:
        node = graph.nodes[index]
        if operator_of(node) != "Constant":
            output_names += [name for name in node.output if name]
    return output_names


def _input_arrays(
    model: LoadedModel, subgraph: ModelProto, batch_size: int, size: Size
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


def _outputs(
    model: LoadedModel,
    subgraph: ModelProto,
    inputs: Mapping[str, Array],
    batch_size: int,
) -> Iterator[tuple[str, Any]]:
    """Compute a subgraph's outputs, one group at a time; without fusions, which remove values."""
    document = model.document.of_subgraph(subgraph)
    session = open_session(document, CPU_DEVICE, model.custom_ops, optimised=False)
    yield from fetch_outputs(session, inputs, batch_size)


def _image_positions(
    image: ImageInput, batch_size: int, size: Size
) -> dict[str, Positions]:
    """Return the positions of the image input in its own layout."""
    positions = Positions.of_input(torch.Size((batch_size, image.channels, *size)))
    if image.channels_last:
        shape = torch.Size((batch_size, *size, image.channels))
        positions = positions.moved(
            lambda coordinate: coordinate.permute(0, 2, 3, 1), shape
        )
    return {image.name: positions}


def _propagate(
    model: LoadedModel,
    node_indices: Sequence[int],
    recorded: RecordedValues,
    start: Mapping[str, Positions],
) -> dict[str, Positions]:
    """Carry positions from the image through nodes, which are in topological order."""
    graph = model.graph
    positions = dict(start)
    for index in node_indices:
        node = graph.nodes[index]
        input_positions = [positions.get(value) for value in node.input]
        for output_index, name in enumerate(node.output):
            if not name:  # an optional output that is left out
                continue
            operation = Operation(
                node,
                input_shapes=[recorded.shapes.get(value) for value in node.input],
                input_positions=input_positions,
                input_values=[
                    recorded.small_values.get(value) for value in node.input
                ],
                output_shapes=[recorded.shapes.get(value) for value in node.output],
                output_index=output_index,
                in_blocks=name in model.blocked.names,
            )
            output = _positions_or_none(operation)
            if output is not None:
                positions[name] = output
    return positions


def _positions_or_none(operation: Operation) -> Positions | None:
    """Apply the rule of an operator; None where its form is one that the rule does not cover.

    Layers that depend on it are then reported without a receptive-field geometry.
    """
    try:
        return output_positions(operation)
    except Exception as error:  # any misfit of shapes, axes or attributes
        node = operation.node
        logger.debug(
            "the rule of %s does not cover node %r: %s: %s",
            operator_of(node),
            node.name or node.output[operation.output_index],
            type(error).__name__,
            error,
        )
        return None
