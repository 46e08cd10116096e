"""Scopes of nodes: the PyTorch modules that a node came from, as torch's exporters write them.

The dynamo exporter writes them into the node's metadata (``name_scopes``), the TorchScript exporter
into the node's name (``/layer4/layer4.1/relu/Relu``).
"""

from __future__ import annotations

import ast

from onnx import NodeProto

SCOPES_KEY = "pkg.torch.onnx.name_scopes"


def module_scopes(node: NodeProto) -> tuple[str, ...]:
    """Return the dotted names of the modules that a node came from, the outermost first.

    Without metadata, the names of the node's outputs are read too: a Clip that was fused into a
    convolution lives on in the name of its value.
    """
    metadata = _scope_metadata(node)
    if metadata is not None:
        return _parse_metadata(metadata)
    scopes: list[str] = []
    for name in (node.name, *node.output):
        if name.startswith("/"):
            scopes += scopes_of_name(name)
    return tuple(dict.fromkeys(scopes))


def has_scope_metadata(node: NodeProto) -> bool:
    """Return whether the dynamo exporter wrote the scopes of a node."""
    return _scope_metadata(node) is not None


def scopes_of_name(name: str) -> tuple[str, ...]:
    """Return the modules in a name such as ``/layer4/layer4.0/conv1/Conv``, the outermost first.

    Here: layer4, layer4.0, layer4.0.conv1.
    """
    scopes: list[str] = []
    for component in name.strip("/").split("/")[:-1]:
        scopes.append(_join(scopes[-1], component) if scopes else component)
    return tuple(scopes)


def _scope_metadata(node: NodeProto) -> str | None:
    for entry in node.metadata_props:
        if entry.key == SCOPES_KEY:
            return str(entry.value)
    return None


def _parse_metadata(text: str) -> tuple[str, ...]:
    """Parse a list such as ``['', 'layer4', 'layer4.0', 'relu_3']``, the node itself last."""
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return ()
    return tuple(dict.fromkeys(str(scope) for scope in scopes[:-1] if scope))


def _join(path: str, component: str) -> str:
    """Join a path and the next component, which may repeat the end of the path.

    ``a.layer4`` and ``layer4.0`` give ``a.layer4.0``: the name of a child of a Sequential begins
    with that of its parent.
    """
    steps = path.split(".")
    for start in range(len(steps)):
        end = ".".join(steps[start:])
        if component.startswith(f"{end}."):
            return ".".join([*steps[:start], component])
    return f"{path}.{component}"
