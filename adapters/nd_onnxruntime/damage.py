"""Damage of ONNX files: what cannot be in a sound file is said before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from graphlib import CycleError, TopologicalSorter
from math import prod

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from nd_onnxruntime.proto import bodies, tensors_of
from nd_plugin import ModelNotFound, NDError, describe_error, translating_errors

# nodes of a model whose functions are written out; the largest networks have about 100,000
MOST_NODES = 10_000_000
BYTES_OF_TYPE: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.UINT8: 1,
    TensorProto.INT8: 1,
    TensorProto.UINT16: 2,
    TensorProto.INT16: 2,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.BOOL: 1,
    TensorProto.FLOAT16: 2,
    TensorProto.DOUBLE: 8,
    TensorProto.UINT32: 4,
    TensorProto.UINT64: 8,
    TensorProto.COMPLEX64: 8,
    TensorProto.COMPLEX128: 16,
    TensorProto.BFLOAT16: 2,
}
COMPLEX = (TensorProto.COMPLEX64, TensorProto.COMPLEX128)
FunctionKey = tuple[str, str]  # domain, name


def reading(source: str, action: str = "be read") -> AbstractContextManager[None]:
    """Return a context that raises ModelNotFound for whatever a damaged file makes others raise."""

    def translate(error: BaseException) -> NDError:
        return ModelNotFound(
            f"{source} cannot {action}: it is damaged, or of a form that is not supported "
            f"({describe_error(error)})"
        )

    return translating_errors(translate)


def check_functions(source: str, model: ModelProto) -> None:
    """Check that the functions of a model can be written out. Raises ModelNotFound.

    A function that calls itself would never end, and a few that call each other twice may stand for
    more nodes than memory holds.
    """
    functions = {
        (function.domain, function.name): function for function in model.functions
    }
    calls = {
        key: _called(function.node, functions)
        for key, function in functions.items()
    }
    try:
        order = list(TopologicalSorter(calls).static_order())
    except CycleError as error:
        names = " → ".join(name for _, name in error.args[1])
        raise ModelNotFound(
            f"{source} is damaged: its functions call themselves ({names})"
        ) from error
    sizes: dict[FunctionKey, int] = {}
    for key in order:
        inner = sum(sizes[called] for called in calls[key])
        sizes[key] = len(functions[key].node) + inner
    whole = sum(sizes[called] for called in _called(model.graph.node, functions))
    if whole > MOST_NODES:
        raise ModelNotFound(
            f"{source} is damaged: its functions stand for {whole:,} nodes, more than "
            f"{MOST_NODES:,}"
        )


def _called(
    nodes: Iterator[NodeProto], functions: dict[FunctionKey, FunctionProto]
) -> list[FunctionKey]:
    """Return the functions that nodes call, those in their bodies included, with repetitions."""
    called: list[FunctionKey] = []
    for node in nodes:
        key = (node.domain, node.op_type)
        if key in functions:
            called.append(key)
        for body in bodies(node):
            called += _called(body.node, functions)
    return called


def check_values(source: str, model: ModelProto) -> None:
    """Check names of values, and sizes of tensors. Raises ModelNotFound, which names them."""
    computed = set[str]()
    for node in model.graph.node:
        for value in filter(None, node.output):
            if value in computed:
                raise ModelNotFound(
                    f"{source} is damaged: two nodes compute the value {value!r}"
                )
            computed.add(value)
    known = computed | _stored_values(model.graph)
    for node in model.graph.node:
        missing = [value for value in node.input if value and value not in known]
        if missing:
            raise ModelNotFound(
                f"{source} is damaged: the node {node.name or node.op_type!r} uses the value "
                f"{missing[0]!r}, which no node computes and no input has"
            )
    for tensor in tensors_of(model.graph):
        problem = tensor_problem(tensor)
        if problem:
            raise ModelNotFound(
                f"{source} is damaged: the tensor {tensor.name!r} of shape "
                f"{tuple(tensor.dims)} {problem}"
            )


def _stored_values(graph: GraphProto) -> set[str]:
    """Return the names of inputs and weights."""
    names = {value.name for value in graph.input}
    names |= {tensor.name for tensor in graph.initializer}
    names |= {sparse.values.name for sparse in graph.sparse_initializer}
    return names


def tensor_problem(tensor: TensorProto) -> str:
    """Return what is wrong with the size of a tensor; "" for nothing. Numbers are not read."""
    if any(length < 0 for length in tensor.dims):
        return "has a negative length"
    expected_bytes = bytes_of(tensor)
    is_external = tensor.data_location == TensorProto.EXTERNAL
    if expected_bytes is None or is_external:
        # packed numbers and texts; external data are checked where their file is
        return ""
    byte_count = len(tensor.raw_data)
    if byte_count:
        return _difference(byte_count, expected_bytes, "bytes")
    parts = 2 if tensor.data_type in COMPLEX else 1
    expected_numbers = prod(tensor.dims) * parts
    return _difference(_stored_numbers(tensor), expected_numbers, "numbers")


def bytes_of(tensor: TensorProto) -> int | None:
    """Return the bytes that the numbers of a tensor take; None for texts and packed numbers."""
    item_bytes = BYTES_OF_TYPE.get(tensor.data_type)
    return None if item_bytes is None else prod(tensor.dims) * item_bytes


def _difference(actual: int, expected: int, what: str) -> str:
    if actual == expected:
        return ""
    return f"has {actual:,} {what} where it needs {expected:,}"


def _stored_numbers(tensor: TensorProto) -> int:
    """Count the numbers of a tensor that has no bytes."""
    fields = (
        tensor.float_data,
        tensor.int32_data,
        tensor.int64_data,
        tensor.double_data,
        tensor.uint64_data,
    )
    return sum(map(len, fields))


def check_order(source: str, nodes: Callable[[], object]) -> None:
    """Check that nodes can be sorted, as ``nodes`` does. Raises ModelNotFound for a circle."""
    try:
        nodes()
    except CycleError as error:
        indices = " → ".join(map(str, error.args[1][:6]))
        raise ModelNotFound(
            f"{source} is damaged: its nodes depend on each other in a circle (nodes {indices}, in "
            "the order of the file)"
        ) from error
