"""Names of layers in ONNX graphs: modules by their dotted names in PyTorch, values, nodes.

A module that runs several times in one forward pass is ``relu#0``, ``relu#1`` …; a value that is
called like a module is ``value:NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from onnx import NodeProto

from nd_onnxruntime.folding import folding_hint, folding_note
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.module_runs import (
    ModuleRuns,
    find_module_runs,
    parameter_owners,
)
from nd_onnxruntime.module_scopes import has_scope_metadata, scopes_of_name
from nd_onnxruntime.operators import QUANTISING, operator_of
from nd_plugin import (
    LayerAmbiguous,
    LayerNotFound,
    UnitsNotFound,
    check_run,
    nearest,
    split_axes,
)

UNLISTED = ("Cast", "Identity")  # operators whose input is listed already
VALUE_PREFIX = "value:"


@dataclass(frozen=True)
class Layer:
    """Layer of a request: its canonical name and the value that it stands for."""

    name: str
    value: str
    note: str = ""  # for the reader of the results
    axes: str | None = None  # as named by the user; None: derived


@dataclass(frozen=True)
class ListedLayer:
    """Row in the list of a model's layers."""

    name: str
    value: str
    node: int  # index in the graph


@dataclass(frozen=True)
class LayerNames:
    """Names of all values that depend on the image."""

    graph: Graph
    image: str  # name of the image input

    @cached_property
    def indices(self) -> Sequence[int]:
        """Nodes that depend on the image, in order."""
        return sorted(self.graph.descendants(self.image))

    @cached_property
    def modules(self) -> ModuleRuns:
        """Last node of each run of each module, by module name."""
        return find_module_runs(self.graph, self.indices)

    def layer(self, text: str) -> Layer:
        """Return the layer of a name, or of one with axes (``name@nhwc``).

        Raises LayerNotFound, LayerAmbiguous, UnitsNotFound.
        """
        name, axes = split_axes(text)
        if axes is None or text in self.graph.producers:
            return self._named(text)
        layer = self._named(name)
        return replace(layer, name=f"{layer.name}@{axes.lower()}", axes=axes)

    def _named(self, name: str) -> Layer:
        """Return the layer of a name.

        Modules come first, unless the prefix ``value:`` excludes them, then values, then nodes.
        """
        if not name.startswith(VALUE_PREFIX):
            index = self._module_end(name)
            if index is not None:
                return self._module_layer(name, index)
        name = name.removeprefix(VALUE_PREFIX)
        layer = (
            self._by_value(name)
            or self._by_node(name)
            or self._renamed_by_quantiser(name)
        )
        if layer is None:
            raise self._not_found(name)
        return layer

    def listed(self) -> Iterator[ListedLayer]:
        """Yield every layer, in the order of the nodes.

        The first value of a node is listed under the modules that end there, innermost first, or
        else under its own name; further values under their own names.
        """
        modules_by_end = self._modules_by_end()
        for index in self.indices:
            node = self.graph.nodes[index]
            modules = modules_by_end.get(index, [])
            operator = operator_of(node)
            if operator in QUANTISING or (operator in UNLISTED and not modules):
                continue
            values = [value for value in node.output if value]
            for name in self._innermost_first(modules, index):
                yield ListedLayer(name, values[0], index)
            named_by_module = 1 if modules else 0
            for value in values[named_by_module:]:
                yield ListedLayer(self._value_name(value), value, index)

    def _module_end(self, name: str) -> int | None:
        """Return the last node of a module or of one run of it; None if there is no such module."""
        if name in self.modules:
            self._check_single_run(name)
            return self.modules[name][0]
        index = self._torchscript_run(name)
        if index is not None:
            return index
        module, sign, run = name.rpartition("#")
        is_run = sign and run.isdecimal() and module in self.modules
        if not is_run or name in self.graph.producers:
            return None
        runs = self.modules[module]
        check_run(module, int(run), len(runs))
        return runs[int(run)]

    def _torchscript_run(self, name: str) -> int | None:
        """Return the last node of a further run, called ``relu_1`` by the TorchScript exporter."""
        match = re.fullmatch(r"(.+)_(\d+)", name)
        if match is None:
            return None
        run = int(match[2])
        runs = self.modules.get(match[1], [])
        return runs[run] if run < len(runs) else None

    def _check_single_run(self, name: str) -> None:
        """Raise LayerAmbiguous for a module that runs several times."""
        check_run(name, None, len(self.modules[name]))
        # the TorchScript exporter numbers the runs of a container, but not those of its children
        children = [
            runs
            for child, runs in self.modules.items()
            if child.startswith(f"{name}.")
        ]
        if f"{name}_1" in self.modules and any(len(runs) > 1 for runs in children):
            raise LayerAmbiguous(
                f"layer {name!r} runs several times, and the file does not record where each run "
                "ends; choose a layer inside it or a value (nd layers MODEL lists them)"
            )

    def _module_layer(self, name: str, index: int) -> Layer:
        module = name if name in self.modules else name.rpartition("#")[0]
        value = self.graph.first_output(index)
        if module not in self._modules_of_node(index):
            return Layer(name, value)
        return Layer(name, value, folding_note(self.graph.nodes[index]))

    def _modules_of_node(self, index: int) -> set[str]:
        """Return the modules that consist of a node alone, not those that contain or follow it."""
        node = self.graph.nodes[index]
        modules = set(parameter_owners(self.graph, index))
        if not has_scope_metadata(node):
            modules.update(scopes_of_name(node.name)[-1:])
        return modules

    def _by_value(self, name: str) -> Layer | None:
        index = self.graph.producers.get(name)
        if index is None:
            return None
        if index not in self.indices:
            raise UnitsNotFound(
                f"the value {name!r} does not depend on the image {self.image!r}"
            )
        note = folding_note(self.graph.nodes[index])
        return Layer(self._value_name(name), name, note)

    def _by_node(self, name: str) -> Layer | None:
        for index in self.indices:
            node = self.graph.nodes[index]
            if node.name == name:
                return Layer(
                    name, self.graph.first_output(index), folding_note(node)
                )
        return None

    def _renamed_by_quantiser(self, name: str) -> Layer | None:
        """Return a layer by the name that it had before quantisation."""
        layer = self._by_value(f"{name}_quantized") or self._by_node(
            f"{name}_quant"
        )
        return replace(layer, name=name) if layer else None

    def _value_name(self, value: str) -> str:
        return f"{VALUE_PREFIX}{value}" if value in self.modules else value

    def _modules_by_end(self) -> dict[int, list[str]]:
        """Return the names of the modules, or of their runs, that end at each node."""
        names: dict[int, list[str]] = {}
        for module, runs in self.modules.items():
            for run, index in enumerate(runs):
                name = module if len(runs) == 1 else f"{module}#{run}"
                names.setdefault(index, []).append(name)
        return names

    def _innermost_first(self, modules: Sequence[str], index: int) -> list[str]:
        """Sort modules that end at a node by depth, at the same depth the node's own first."""
        modules_of_node = self._modules_of_node(index)

        def rank(name: str) -> tuple[int, bool]:
            return -name.count("."), name not in modules_of_node

        return sorted(modules, key=rank)

    def _not_found(self, name: str) -> LayerNotFound | UnitsNotFound:
        inner_values = self.graph.values_in_bodies()
        if name in inner_values:
            node = self.graph.nodes[inner_values[name]]
            outputs = ", ".join(value for value in node.output if value)
            return UnitsNotFound(
                f"the value {name!r} is inside the body of the {node.op_type} {node.name!r} and "
                f"cannot be read; choose an output of that node: {outputs}"
            )
        if name == self.image:
            return UnitsNotFound(
                f"{name!r} is the model's input, the image itself; choose a layer behind it"
            )
        nodes = [self.graph.nodes[index] for index in self.indices]
        suggestions = ", ".join(nearest(name, self._names_of(nodes)))
        nearest_names = f"; the nearest are {suggestions}" if suggestions else ""
        return LayerNotFound(
            f"no layer {name!r} in this model{nearest_names} (nd layers MODEL lists them)"
            f"{folding_hint(nodes)}"
        )

    def _names_of(self, nodes: Sequence[NodeProto]) -> list[str]:
        """Return the names of all modules, and of the nodes and their values."""
        names = list(self.modules)
        for node in nodes:
            names += [value for value in node.output if value]
        names += [node.name for node in nodes if node.name]
        return names
