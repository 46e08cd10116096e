"""Extraction of subgraphs: models that compute some values of a model and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

from nd_onnxruntime.graph import Graph, values_used_by


def extract_subgraph(
    graph: Graph,
    outputs: Sequence[str],
    inputs: Sequence[ValueInfoProto],
    *,
    prepended: Sequence[NodeProto] = (),
    appended: Sequence[NodeProto] = (),
) -> ModelProto:
    """Build the model that computes ``outputs`` from ``inputs`` and nothing else.

    Nodes, in order: ``prepended``, the model's nodes that are needed, ``appended``. ``inputs`` may
    name inner values of the model: what lies before these is left out.

    IR version, opsets and metadata are those of the model. Outputs have no declared type, ONNX
    Runtime infers it. Declared shapes of inner values are dropped: a file that was exported for a
    batch of one declares them for that batch.
    """
    input_names = {value.name for value in inputs}
    available = input_names | _outputs_of(prepended)
    required = _required_values(outputs, prepended, appended)
    indices = sorted(graph.ancestors(required, available))
    nodes = [*prepended, *(graph.nodes[index] for index in indices), *appended]
    used = required | _values_used(nodes)

    model = _empty_copy(graph)
    model.graph.node.extend(nodes)
    _name_nodes(model.graph)
    _copy_weights(graph, model, used, available)
    model.graph.input.extend(value for value in inputs if value.name in used)
    model.graph.output.extend(
        ValueInfoProto(name=value) for value in dict.fromkeys(outputs)
    )
    return model


def _required_values(
    outputs: Sequence[str],
    prepended: Sequence[NodeProto],
    appended: Sequence[NodeProto],
) -> set[str]:
    """Return the values that the model's own nodes have to provide."""
    required = set(outputs) | _values_used([*prepended, *appended])
    return required - _outputs_of(appended)


def _outputs_of(nodes: Iterable[NodeProto]) -> set[str]:
    outputs = set[str]()
    for node in nodes:
        outputs.update(node.output)
    return outputs


def _values_used(nodes: Iterable[NodeProto]) -> set[str]:
    values = set[str]()
    for node in nodes:
        values.update(values_used_by(node))
    return values


def _empty_copy(graph: Graph) -> ModelProto:
    """Return a model without nodes, of the same IR version, opsets and metadata."""
    original = graph.model
    model = ModelProto(
        ir_version=original.ir_version, producer_name=original.producer_name
    )
    model.opset_import.extend(original.opset_import)
    model.metadata_props.extend(original.metadata_props)
    model.graph.name = graph.proto.name or "part"
    return model


def _copy_weights(
    graph: Graph, model: ModelProto, used: Set[str], available: Set[str]
) -> None:
    """Copy the initializers that are used and not computed by prepended nodes or fed."""
    for tensor in graph.proto.initializer:
        if tensor.name in used and tensor.name not in available:
            model.graph.initializer.append(tensor)
    for sparse in graph.proto.sparse_initializer:
        if sparse.values.name in used:
            model.graph.sparse_initializer.append(sparse)


def _name_nodes(graph: GraphProto) -> None:
    """Name nodes without a name and those whose name occurred earlier: errors name nodes."""
    names = set[str]()
    for node in graph.node:
        if not node.name or node.name in names:
            node.name = replacement_name(node)
        names.add(node.name)


def replacement_name(node: NodeProto) -> str:
    """Return the name that a node without one gets in a subgraph."""
    return f"node of {next(filter(None, node.output), '')}"
