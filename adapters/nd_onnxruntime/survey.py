"""One forward pass that shows every value of a part of a model: its shape, and where its elements lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import numpy_helper

from nd_onnxruntime.document import Document
from nd_onnxruntime.feeding import Feed, ImageInput, Size, needed
from nd_onnxruntime.graph import Graph, part_of
from nd_onnxruntime.rules import Operation, carried
from nd_onnxruntime.sessions import CPU, Place, open_session, told
from nd_plugin import ModelFailed, ModelNotFound, Positions

FEW = 4096  # elements: values that may be shapes, amounts, indices are remembered
AT_ONCE = 2**28  # bytes of values that are fetched together
UNKNOWN = 2**24  # bytes, where a shape is not known beforehand


@dataclass(frozen=True)
class Survey:
    """What was seen of each value."""

    shapes: Mapping[str, torch.Size]  # of tensors
    numbers: Mapping[str, bool]  # whether a tensor holds floating-point numbers
    few: Mapping[str, npt.NDArray[Any]]
    positions: Mapping[str, Positions]
    images: int  # in the batch that was run: two, or one where the model takes no two


def survey(
    document: Document,
    values: Sequence[str],
    image: ImageInput,
    size: Size,
    feeds: Mapping[str, Feed],
    custom_ops: Sequence[str] = (),
) -> Survey:
    """Run the part of the model that ``values`` need on two images of noise. Raises ModelFailed.

    Where it takes no two, or mixes them, so that their places in the values cannot be told apart, on one.
    """
    try:
        found = _seen(document, values, image, size, feeds, custom_ops, 2)
    except (ModelFailed, ModelNotFound):
        return _seen(document, values, image, size, feeds, custom_ops, 1)
    mixed = any(_mixed(found.shapes.get(value), found.positions.get(value)) for value in values)
    return _seen(document, values, image, size, feeds, custom_ops, 1) if mixed else found


def _mixed(shape: torch.Size | None, positions: Positions | None) -> bool:
    """Whether something is known of a value's elements, and not from which image each is."""
    if shape is None or positions is None or len(shape) < 2:
        return False
    images = positions.images
    return set(images[~images.isnan()].tolist()) != {0.0, 1.0}  # class tokens are of no image


def noise(images: int, image: ImageInput, size: Size) -> torch.Tensor:
    """Images (image, 3, row, column) as the model might get them, each of another brightness."""
    drawn = torch.rand(images, 3, *size, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    drawn /= torch.arange(1, images + 1, device="cpu").view(-1, 1, 1, 1) ** 2
    return drawn * 255 if image.dtype == torch.uint8 else drawn


def _seen(
    document: Document,
    values: Sequence[str],
    image: ImageInput,
    size: Size,
    feeds: Mapping[str, Feed],
    custom_ops: Sequence[str],
    images: int,
) -> Survey:
    graph = Graph(document.model)
    nodes = [graph.nodes[number] for number in sorted(graph.ancestors(values))]
    every = [value for node in nodes if node.op_type != "Constant" for value in node.output if value]
    inputs = [image.declared(images, size) if v.name == image.name else v for v in graph.inputs]
    part = part_of(graph, every, inputs)
    given: dict[str, Any] = {name: f.of(images) for name, f in needed(part.graph.input, image, feeds).items()}
    if any(value.name == image.name for value in part.graph.input):
        given[image.name] = image.arranged(noise(images, image, size)).numpy()
    shapes, numbers, few = _initial(graph, image, images, size, given)
    session = open_session(document.of_part(part), Place(CPU), custom_ops, optimised=False)
    for names in _groups(session):
        try:
            found = session.run(names, given)
        except Exception as error:  # ONNX Runtime's errors have no common root
            count = "one image" if images == 1 else f"{images} images"
            raise ModelFailed(f"the model failed on {count}: {told(error)}") from error
        for name, array in zip(names, found, strict=True):
            if isinstance(array, np.ndarray):
                shapes[name], numbers[name] = torch.Size(array.shape), array.dtype.kind == "f"
                if array.size <= FEW:
                    few[name] = array
        del found
    start = {image.name: Positions.of_input(torch.Size((images, 3, *size)))}
    if image.channels_last:
        whole = torch.Size((images, *size, 3))
        start = {image.name: start[image.name].moved(lambda c: c.permute(0, 2, 3, 1), whole)}
    return Survey(shapes, numbers, few, _followed(graph, sorted(graph.ancestors(values)), shapes, few, start), images)


def _initial(
    graph: Graph, image: ImageInput, images: int, size: Size, given: Mapping[str, Any]
) -> tuple[dict[str, torch.Size], dict[str, bool], dict[str, npt.NDArray[Any]]]:
    """What is known of weights, constants and inputs."""
    shapes = {name: torch.Size(tensor.dims) for name, tensor in graph.initializers.items()}
    shapes |= {name: torch.Size(array.shape) for name, array in given.items()}
    few = {
        name: np.asarray(numpy_helper.to_array(tensor))
        for name, tensor in graph.initializers.items()
        if shapes[name].numel() <= FEW and not tensor.external_data
    }
    for node in graph.nodes:
        if node.op_type == "Constant" and node.output[0] not in few and node.attribute[0].name != "value":
            attribute = node.attribute[0]
            array = np.array(attribute.ints or attribute.floats or attribute.i or attribute.f)
            few[node.output[0]], shapes[node.output[0]] = array, torch.Size(array.shape)
    return shapes, {}, few


def _groups(session: Any) -> list[list[str]]:
    """The outputs, so many together that they fit into memory."""
    groups: list[list[str]] = [[]]
    taken = 0
    for output in session.get_outputs():
        known = output.shape and all(isinstance(side, int) for side in output.shape)
        size = 4 * int(np.prod(output.shape)) if known else UNKNOWN
        if groups[-1] and taken + size > AT_ONCE:
            groups.append([])
            taken = 0
        groups[-1].append(output.name)
        taken += size
    return groups


def _followed(
    graph: Graph,
    numbers: Sequence[int],
    shapes: Mapping[str, torch.Size],
    few: Mapping[str, npt.NDArray[Any]],
    start: Mapping[str, Positions],
) -> dict[str, Positions]:
    """Positions, node by node."""
    found = dict(start)
    for number in numbers:
        node = graph.nodes[number]
        operation = Operation(
            node,
            [shapes.get(name) for name in node.input],
            [found.get(name) for name in node.input],
            [few.get(name) for name in node.input],
            [shapes.get(name) for name in node.output],
        )
        for place, name in enumerate(node.output):
            try:
                positions = carried(operation, place)
            except Exception:  # a form of an operator that the rules do not foresee: its result has no positions,
                positions = None  # and a layer behind it is said to have no geometry
            if name and positions is not None:
                found[name] = positions
    return found
