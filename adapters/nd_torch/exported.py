"""Exported programs (torch.export) and other graphs of operations, as models with layers.

Such a graph has no modules that run, so hooks have nothing to fire on. `ExportedModel` runs it
operation by operation, and passes values through modules of its own, named as the modules were that
computed these values before the export.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from nd_plugin import BadInput

GUARDS = "_guards_fn"  # torch.export's module that checks the shapes of inputs
PROGRAM = "_program"

ModuleCalls = dict[str, list[fx.Node]]


class Value(nn.Module):
    """Identity that a value of a graph passes through."""

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self.value_kind = kind  # class of the original module, or operation

    def forward(self, value: Any) -> Any:
        """Return the value, as a hook may have replaced it."""
        return value


class ExportedModel(nn.Module):
    """Graph of operations that runs node by node, with the values of layers passed through modules.

    Layers are the original modules that return one value, and operations whose values no
    module returns, by the node's name.
    """

    def __init__(self, program: fx.GraphModule) -> None:
        super().__init__()
        self.add_module(PROGRAM, program)
        self._layers_of_node: dict[fx.Node, list[Value]] = {}
        for name, kind, node in _module_outputs(program.graph):
            self._add_layer(name, kind, node)
        for node in program.graph.nodes:
            is_listed = node in self._layers_of_node or node.name in self._modules
            if _is_operation(node) and not is_listed:
                self._add_layer(node.name, str(node.target), node)

    def _add_layer(self, name: str, kind: str, node: fx.Node) -> None:
        """Add a layer for the value of a node; a module that runs again is one layer."""
        parent: nn.Module = self
        *folders, last = name.split(".")
        for folder in folders:
            # not by attribute: operations are called "to", "float" and the like
            parent = _child(parent, folder)
        layer = _child(parent, last)
        layer.value_kind = kind
        self._layers_of_node.setdefault(node, []).append(layer)

    @property
    def program(self) -> fx.GraphModule:
        """Graph module that is run."""
        program = self._modules[PROGRAM]
        assert isinstance(program, fx.GraphModule)
        return program

    @property
    def image_shape(self) -> tuple[Any, ...]:
        """Shape of the first input; dimensions that may vary are no ``int``. () if unknown."""
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                return tuple(getattr(node.meta.get("val"), "shape", ()))
        return ()

    def forward(self, *inputs: Any) -> Any:
        """Run the graph. Raises BadInput for images of another shape than it was exported for."""
        self._check_shape(inputs)
        return _Run(self.program, self._layers_of_node).run(*inputs)

    def _check_shape(self, inputs: Sequence[Any]) -> None:
        expected = self.image_shape
        shape = tuple(getattr(inputs[0], "shape", ())) if inputs else ()
        pairs = zip(shape, expected, strict=False)
        fits = all(side == fixed for side, fixed in pairs if isinstance(fixed, int))
        if expected and (not fits or len(shape) != len(expected)):
            raise BadInput(
                f"the program was exported for images of shape {_described(expected)}, not "
                f"{_described(shape)}: choose that size (--input-size), or export it with "
                "dynamic_shapes (torch.export.Dim) for sizes and numbers of images that vary"
            )


def _described(shape: Sequence[Any]) -> str:
    """Return a shape as text, with ``?`` for dimensions that may vary."""
    sides = [str(side) if isinstance(side, int) else "?" for side in shape]
    return f"({', '.join(sides)})"


class _Run(fx.Interpreter):
    """Run of a graph that passes values through layers."""

    def __init__(
        self, program: fx.GraphModule, layers_of_node: dict[fx.Node, list[Value]]
    ) -> None:
        super().__init__(program)
        self.extra_traceback = False
        self._layers_of_node = layers_of_node

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and pass its value through the layers that return it, the innermost first."""
        value = super().run_node(n)
        for layer in self._layers_of_node.get(n, ()):
            value = layer(value)
        return value


def _child(parent: nn.Module, name: str) -> Value:
    layer = parent._modules.setdefault(name, Value())
    assert isinstance(layer, Value)
    return layer


def _module_outputs(graph: fx.Graph) -> Iterator[tuple[str, str, fx.Node]]:
    """Iterate over original modules that return one value: name, class, the node that computes it.

    The innermost come first, in the order in which they run.
    """
    nodes_of_call: ModuleCalls = {}
    names: dict[str, tuple[str, str]] = {}
    for node in graph.nodes:
        if not _is_operation(node, with_any_value=True):
            continue
        stack = node.meta.get("nn_module_stack") or {}
        for call, (path, module_class) in stack.items():
            name = str(path).partition("@")[0]
            names[call] = (name, _class_name(module_class))
            nodes_of_call.setdefault(call, []).append(node)
    innermost_first = sorted(
        nodes_of_call, key=lambda call: -names[call][0].count(".")
    )
    for call in innermost_first:
        name, kind = names[call]
        outputs = _outgoing(nodes_of_call[call])
        if name and len(outputs) == 1:
            yield name, kind, outputs[0]


def _class_name(module_class: Any) -> str:
    text = module_class if isinstance(module_class, str) else module_class.__name__
    return str(text).rpartition(".")[2]


def _outgoing(nodes: list[fx.Node]) -> list[fx.Node]:
    """Return the nodes whose tensors are used outside of a group.

    Sizes are no outputs: the export computes each once, and uses it everywhere.
    """
    group = set(nodes)
    tensor_nodes = filter(_is_operation, nodes)
    return [
        node
        for node in tensor_nodes
        if any(user not in group for user in node.users)
    ]


def _is_operation(node: fx.Node, *, with_any_value: bool = False) -> bool:
    """Return whether a node computes something, and a tensor as far as is known."""
    if node.op not in ("call_function", "call_method"):
        return False
    value = node.meta.get("val")
    return with_any_value or value is None or isinstance(value, Tensor)


def as_module(model: Any) -> Any:
    """Return an exported program as a module; other models as they are."""
    return model.module() if isinstance(model, ExportedProgram) else model


def with_layers(module: nn.Module) -> nn.Module:
    """Return a graph of operations as an `ExportedModel`; other modules as they are."""
    if not isinstance(module, fx.GraphModule):
        return module
    called_modules = [
        node.target for node in module.graph.nodes if node.op == "call_module"
    ]
    if any(target != GUARDS for target in called_modules):
        return module  # its modules run, and take hooks
    return ExportedModel(module)


def kind_of(module: nn.Module) -> str:
    """Return the class of a module; of an exported or scripted one that of the original."""
    if isinstance(module, Value):
        return module.value_kind
    if isinstance(module, torch.jit.ScriptModule):
        return str(getattr(module, "original_name", type(module).__name__))
    return type(module).__name__


def fixed_batch_size(model: nn.Module | None) -> int | None:
    """Return the number of images that a program was exported for; None: any number."""
    if not isinstance(model, ExportedModel) or not model.image_shape:
        return None
    count = model.image_shape[0]
    return count if isinstance(count, int) else None


def fixed_image_size(model: nn.Module) -> tuple[int, int] | None:
    """Return the height and width that a program was exported for; None: it takes others, too."""
    if not isinstance(model, ExportedModel) or len(model.image_shape) != 4:
        return None
    height, width = model.image_shape[2:]
    if isinstance(height, int) and isinstance(width, int):
        return height, width
    return None
