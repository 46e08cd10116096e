"""Survey: shapes and positions of all values of a model, for images of a size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from openvino import Model
from openvino.passes import ConstantFolding, Manager

from nd_openvino.image_input import ANY, ImageInput, Size
from nd_openvino.loaded_model import FLOATS, LoadedModel, value_name
from nd_openvino.model_files import last_line
from nd_openvino.operation import Operation
from nd_openvino.rules import output_positions
from nd_plugin import BadInput, Positions

PAIR = 2  # images: enough to tell their axis
OPEN_BATCHES = (1, 2, 3)  # a model that takes these takes any number
FIXED_BATCHES = (
    2,
    1,
    3,
    4,
    8,
    16,
    32,
)  # of two and one, two is what it was made for
LARGEST_CONSTANT = 2**16  # elements that a rule looks at
WITHOUT_UNITS = ("Constant", "Parameter", "Result")


@dataclass(frozen=True)
class Value:
    """Output of an operation that depends on the images."""

    name: str
    kind: str  # of the operation
    shape: torch.Size | None  # None: depends on the pixels
    positions: Positions | None
    is_float: bool


@dataclass(frozen=True)
class Survey:
    """Values of a model, by name, in an order in which they can be computed."""

    values: Mapping[str, Value]
    batch: int  # images that were surveyed
    is_fixed: bool  # the model takes no other number of images


def survey(loaded: LoadedModel, size: Size) -> Survey:
    """Survey a model for images of a size: two, or as many as it takes.

    Raises BadInput where it cannot be reshaped.
    """
    is_open = all(_takes(loaded, batch, size) for batch in OPEN_BATCHES)
    batch = PAIR if is_open else _fixed_batch(loaded, size)
    graph = loaded.reshaped(batch, size)
    fold_constants(graph)
    values = _values(graph, loaded.image, batch, size)
    return Survey(values, batch, is_fixed=not is_open)


def _takes(loaded: LoadedModel, batch: int, size: Size) -> bool:
    """Return whether a model takes a number of images.

    A file may leave this open and still be made for one number: the shapes of constants tell. With
    another number, OpenVINO would read memory that is none of the model's.
    """
    try:
        loaded.reshaped(batch, size)
    except RuntimeError:
        return False
    return True


def _fixed_batch(loaded: LoadedModel, size: Size) -> int:
    """Return a number of images that a model takes. Raises BadInput where there is none."""
    own_batch = loaded.image.batch
    candidates = FIXED_BATCHES if own_batch == ANY else (own_batch, *FIXED_BATCHES)
    for batch in candidates:
        if _takes(loaded, batch, size):
            return batch
    raise _not_reshaped(loaded, candidates[0], size)


def _not_reshaped(loaded: LoadedModel, batch: int, size: Size) -> BadInput:
    """Return the error of a model that takes no images of a size."""
    height, width = loaded.image.size
    remedy = "give another size (--input-size HEIGHTxWIDTH)"
    if ANY not in loaded.image.size:
        remedy = f"give its own size (--input-size {height}x{width}), or convert it with open sizes"
    reason = ""
    try:
        loaded.reshaped(batch, size)
    except RuntimeError as error:
        reason = f": {last_line(error)}"
    return BadInput(
        f"{loaded.source} cannot be reshaped for images of {size[0]}x{size[1]} pixels; {remedy}"
        f"{reason}"
    )


def fold_constants(graph: Model) -> None:
    """Replace whatever does not depend on the images, shapes for instance, by its value."""
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(graph)


def _values(
    graph: Model, image: ImageInput, batch: int, size: Size
) -> dict[str, Value]:
    """Carry positions from the image through the operations of a graph."""
    positions = {image.name: _image_positions(image, batch, size)}
    values: dict[str, Value] = {}
    for operation in graph.get_ordered_ops():
        if operation.get_type_name() in WITHOUT_UNITS:
            continue
        for value in _outputs(operation, positions):
            values[value.name] = value
            if value.positions is not None:
                positions[value.name] = value.positions
    return values


def _image_positions(image: ImageInput, batch: int, size: Size) -> Positions:
    shape = torch.Size((batch, image.channels, *size))
    positions = Positions.of_input(shape)
    if not image.channels_last:
        return positions
    shape = torch.Size(image.shape(batch, size))
    return positions.moved(lambda coordinate: coordinate.permute(0, 2, 3, 1), shape)


def _outputs(operation: Any, positions: Mapping[str, Positions]) -> Iterator[Value]:
    kind = operation.get_type_name()
    sources = [value.get_source_output() for value in operation.inputs()]
    names = [
        value_name(source.get_node(), source.get_index()) for source in sources
    ]
    outputs = operation.outputs()
    shapes = [_shape(output) for output in outputs]
    for index, output in enumerate(outputs):
        form = Operation(
            kind,
            operation.get_attributes(),
            input_shapes=[_shape(source) for source in sources],
            input_positions=[positions.get(name) for name in names],
            constants=_constants(sources),
            output_shapes=shapes,
            output_index=index,
        )
        element_type = output.get_element_type().get_type_name()
        yield Value(
            value_name(operation, index),
            kind,
            shapes[index],
            output_positions(form),
            is_float=element_type in FLOATS,
        )


def _shape(output: Any) -> torch.Size | None:
    shape = output.get_partial_shape()
    return torch.Size(shape.to_shape()) if shape.is_static else None


def _constants(sources: Sequence[Any]) -> list[npt.NDArray[Any] | None]:
    """Return the values of small constant inputs, None for others."""
    constants: list[npt.NDArray[Any] | None] = []
    for source in sources:
        node = source.get_node()
        shape = _shape(source)
        is_constant = node.get_type_name() == "Constant" and shape is not None
        is_small = shape is not None and shape.numel() <= LARGEST_CONSTANT
        constants.append(node.data if is_constant and is_small else None)
    return constants
