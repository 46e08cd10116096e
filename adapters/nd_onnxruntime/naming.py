"""Names of layers in ONNX graphs: a module's dotted name as in PyTorch, the name of a value, or the name of a node.

torch's exporters say which module a node came from: the dynamo one in the node's metadata (``name_scopes``), the
TorchScript one in its name (``/layer4/layer4.1/relu/Relu``). A module's output is that of its last node. A module that
runs again is ``relu#1``: a second stretch of nodes for the one exporter, ``/relu_1/`` for the other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from onnx import NodeProto

from nd_onnxruntime.graph import Graph
from nd_plugin import LayerAmbiguous, LayerNotFound, UnitsNotFound, nearest

SCOPES = "pkg.torch.onnx.name_scopes"
RULES = "pkg.onnxscript.rewriter.rule_name"
CONVOLUTIONS = ("Conv", "ConvTranspose", "QLinearConv", "Gemm", "FusedConv")
QUANTISING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
SAME = ("Cast", "Identity")  # what they give is listed already
FOLDED = "the exporter folded the BatchNorm behind it into this convolution: its value is the one after the BatchNorm"


@dataclass(frozen=True)
class Layer:
    """A layer that was asked for."""

    name: str  # canonical
    value: str
    note: str = ""  # what a reader has to know of it


@dataclass(frozen=True)
class Names:
    """The names of everything that depends on the image."""

    graph: Graph
    image: str

    @cached_property
    def numbers(self) -> Sequence[int]:
        """The nodes that depend on the image, in order."""
        return sorted(self.graph.descendants(self.image))

    @cached_property
    def modules(self) -> dict[str, list[int]]:
        """By a module's name, the last node of each of its runs."""
        found: dict[str, list[int]] = {}
        before: set[str] = set()
        for number in self.numbers:
            if self.graph.nodes[number].op_type in QUANTISING:
                continue  # what a module gives is the value before; `quantised` says how it is taken
            scopes = module_scopes(self.graph.nodes[number])
            for scope in scopes:
                runs = found.setdefault(scope, [])
                if runs and (scope in before or not _has_scopes(self.graph.nodes[number])):
                    runs[-1] = number
                else:
                    runs.append(number)
            before = set(scopes) if scopes else before
        self._join_numbered(found)
        for number in self.numbers:  # a convolution that took over its BatchNorm's scope is known by its weights
            for name in self._weights_of(number):
                found.setdefault(name, [number])
        return found

    def _join_numbered(self, found: dict[str, list[int]]) -> None:
        """``relu_1`` of TorchScript's exporter becomes the second run of ``relu``, where both do the same."""
        for name in [name for name in found if self._named_apart(name)]:
            number = len(found[name])
            while (other := f"{name}_{number}") in found and self._alike(found[name][0], found[other][0]):
                found[name] += found.pop(other)
                number = len(found[name])

    def _named_apart(self, name: str) -> bool:
        return re.fullmatch(r".*_\d+", name) is None

    def _alike(self, one: int, other: int) -> bool:
        a, b = self.graph.nodes[one], self.graph.nodes[other]
        weights = [[name for name in node.input if name in self.graph.initializers] for node in (a, b)]
        parametric = a.op_type in CONVOLUTIONS
        return a.op_type == b.op_type and (not parametric or weights[0] == weights[1])

    def _weights_of(self, number: int) -> Iterator[str]:
        node = self.graph.nodes[number]
        if node.op_type in CONVOLUTIONS:
            named = [name.rpartition(".") for name in node.input if name in self.graph.initializers]
            yield from (module for module, dot, kind in named if dot and kind in ("weight", "bias"))

    def layer(self, text: str) -> Layer:
        """What a name means. Raises LayerNotFound, LayerAmbiguous, UnitsNotFound."""
        name = text.removeprefix("value:")
        if name == text and (number := self._module(text)) is not None:
            own = (text if text in self.modules else text.rpartition("#")[0]) in self._own_names(number)
            return Layer(text, self.output(number), self._folded(number) if own else "")
        return self._by_value(name) or self._by_node(name) or self._quantised(name) or self._refuse(name)

    def _own_names(self, number: int) -> set[str]:
        """The names of the module that a node itself is, and not of one around it or behind it."""
        node = self.graph.nodes[number]
        scopes = () if _has_scopes(node) else _scopes_of_name(node.name)
        return {*self._weights_of(number), *scopes[-1:]}

    def _by_value(self, name: str) -> Layer | None:
        number = self.graph.makers.get(name)
        if number is None:
            return None
        if number not in self.numbers:
            raise UnitsNotFound(f"the value {name!r} does not depend on the image {self.image!r}")
        return Layer(self._shown(name), name, self._folded(number))

    def _by_node(self, name: str) -> Layer | None:
        number = next((n for n in self.numbers if self.graph.nodes[n].name == name), None)
        return None if number is None else Layer(name, self.output(number), self._folded(number))

    def _quantised(self, name: str) -> Layer | None:
        """A quantiser renames values and nodes; the name that they had before is kept."""
        found = self._by_value(f"{name}_quantized") or self._by_node(f"{name}_quant")
        return replace(found, name=name) if found else None

    def _refuse(self, name: str) -> Layer:
        raise self._not_found(name)

    def _shown(self, value: str) -> str:
        return f"value:{value}" if value in self.modules else value

    def _module(self, text: str) -> int | None:
        if text in self.modules:
            runs = self.modules[text]
            if len(runs) > 1:
                choices = ", ".join(f"{text}#{run}" for run in range(len(runs)))
                raise LayerAmbiguous(
                    f"layer {text!r} runs {len(runs)} times in one forward pass; choose one: {choices}"
                )
            self._check_container(text)
            return runs[0]
        numbered = re.fullmatch(r"(.+)_(\d+)", text)
        if numbered and int(numbered[2]) < len(self.modules.get(numbered[1], ())):  # may be called so itself
            return self.modules[numbered[1]][int(numbered[2])]
        name, sign, run = text.rpartition("#")
        if text in self.graph.makers or not sign or not run.isdecimal() or name not in self.modules:
            return None
        if int(run) >= len(self.modules[name]):
            count = len(self.modules[name])
            raise LayerNotFound(f"layer {name!r}: it runs {count} times, the last being #{count - 1}")
        return self.modules[name][int(run)]

    def _check_container(self, name: str) -> None:
        """TorchScript's exporter does not tell the runs of a container apart."""
        inside = [runs for other, runs in self.modules.items() if other.startswith(f"{name}.")]
        if f"{name}_1" in self.modules and any(len(runs) > 1 for runs in inside):
            raise LayerAmbiguous(
                f"layer {name!r} runs several times, and the file does not say where each ends; name a layer inside "
                "it, or a value (nd layers MODEL lists them)"
            )

    def output(self, number: int) -> str:
        """The first value that a node makes."""
        return str(next(value for value in self.graph.nodes[number].output if value))

    def _not_found(self, name: str) -> Exception:
        inside = self.graph.inner_values()
        if name in inside:
            node = self.graph.nodes[inside[name]]
            return UnitsNotFound(
                f"the value {name!r} is computed inside the body of the {node.op_type} {node.name!r}, from where it "
                f"cannot be taken; what that gives can: {', '.join(value for value in node.output if value)}"
            )
        if name == self.image:
            return UnitsNotFound(f"{name!r} is the model's input, the image itself; choose a layer behind it")
        known = [*self.modules, *(value for n in self.numbers for value in self.graph.nodes[n].output if value)]
        known += [self.graph.nodes[n].name for n in self.numbers if self.graph.nodes[n].name]
        close = ", ".join(nearest(name, known))
        near = f"; the nearest are {close}" if close else ""
        return LayerNotFound(f"no layer {name!r} in this model{near} (nd layers MODEL lists them){self._hint()}")

    def _hint(self) -> str:
        """What may have become of a layer that is not there."""
        if any(self.graph.nodes[number].op_type.startswith("QLinear") for number in self.numbers):
            return "; what a quantiser folded into a convolution goes by the convolution's name"
        if any(self._folded(number) for number in self.numbers):
            return "; a BatchNorm that the exporter folded into a convolution goes by the convolution's name"
        return ""

    def _folded(self, number: int) -> str:
        """A note where a convolution holds a BatchNorm that was folded into it."""
        node = self.graph.nodes[number]
        if node.op_type not in ("Conv", "ConvTranspose", "QLinearConv"):
            return ""
        told = {entry.key: entry.value for entry in node.metadata_props}
        own = [*node.input[3:4], *node.input[8:9]] if node.op_type == "QLinearConv" else node.input[1:3]
        renamed = len(own) == 2 and all(name.startswith("onnx::Conv") for name in own)  # TorchScript's, where it folded
        return FOLDED if renamed or "BatchNorm" in told.get(RULES, "") else ""

    def shown(self) -> Iterator[tuple[str, str, int]]:
        """Every name, its value and the node that makes it, in order: modules, innermost first, else the value."""
        ends: dict[int, list[str]] = {}
        for name, runs in self.modules.items():
            for run, number in enumerate(runs):
                ends.setdefault(number, []).append(name if len(runs) == 1 else f"{name}#{run}")
        for number in self.numbers:
            node = self.graph.nodes[number]
            values = [value for value in node.output if value]
            if node.op_type in QUANTISING or (node.op_type in SAME and number not in ends):
                continue
            own = self._own_names(number)
            for name in sorted(ends.get(number, []), key=lambda name: (-name.count("."), name not in own)):
                yield name, values[0], number
            for value in values[1 if number in ends else 0 :]:
                yield self._shown(value), value, number


def module_scopes(node: NodeProto) -> tuple[str, ...]:
    """The modules that a node came from, the outermost first, by their dotted names."""
    told = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), None)
    if told is not None:
        try:
            scopes = ast.literal_eval(told)
        except (ValueError, SyntaxError):
            return ()
        return tuple(dict.fromkeys(str(scope) for scope in scopes[:-1] if scope))
    names = [name for name in (node.name, *node.output) if name.startswith("/")]  # a Clip that was fused into a Conv
    return tuple(dict.fromkeys(scope for name in names for scope in _scopes_of_name(name)))  # lives on in its value's


def _has_scopes(node: NodeProto) -> bool:
    return any(entry.key == SCOPES for entry in node.metadata_props)


def _scopes_of_name(name: str) -> tuple[str, ...]:
    """``/layer4/layer4.0/conv1/Conv``: a child of a Sequential carries the name of its parent."""
    found: list[str] = []
    for part in name.strip("/").split("/")[:-1]:
        found.append(_joined(found[-1], part) if found else part)
    return tuple(found)


def _joined(path: str, part: str) -> str:
    """A path and the next part, which may begin with the end of the path: ``a.layer4`` and ``layer4.0``."""
    steps = path.split(".")
    for count in range(len(steps), 0, -1):
        end = ".".join(steps[-count:])
        if part.startswith(f"{end}."):
            return ".".join([*steps[: len(steps) - count], part])
    return f"{path}.{part}"
