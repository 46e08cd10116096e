"""Module runs: the nodes at which the modules of an exported PyTorch model end.

A module's output is that of its last node. A module may run several times in one forward pass: for
the dynamo exporter, these are separate stretches of nodes of the same scope; the TorchScript
exporter numbers the scopes (``/relu/``, ``/relu_1/``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nd_onnxruntime.graph import Graph
from nd_onnxruntime.module_scopes import has_scope_metadata, module_scopes
from nd_onnxruntime.operators import (
    FUSED_CONVOLUTIONS,
    QUANTISED_CONVOLUTIONS,
    QUANTISING,
    operator_of,
)

ModuleRuns = dict[str, list[int]]

PARAMETRIC = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    *QUANTISED_CONVOLUTIONS,
    *FUSED_CONVOLUTIONS,
)
NUMBERED = re.compile(r".*_\d+")


def find_module_runs(graph: Graph, indices: Sequence[int]) -> ModuleRuns:
    """Return the last node of each run, by module name, among the nodes at ``indices``.

    Quantising nodes do not count: a module's output is the value before them, and `quantised` says
    how it is exposed.
    """
    runs = _runs_by_scope(graph, indices)
    _join_numbered_runs(graph, runs)
    for index in indices:
        # a convolution that took over its BatchNorm's scope is known by its weights only
        for module in parameter_owners(graph, index):
            runs.setdefault(module, [index])
    return runs


def parameter_owners(graph: Graph, index: int) -> list[str]:
    """Return the modules whose weight or bias a convolution or linear layer uses."""
    node = graph.nodes[index]
    if operator_of(node) not in PARAMETRIC:
        return []
    owners = []
    for weight in _weights(graph, index):
        module, dot, parameter = weight.rpartition(".")
        if dot and parameter in ("weight", "bias"):
            owners.append(module)
    return owners


def _runs_by_scope(graph: Graph, indices: Sequence[int]) -> ModuleRuns:
    runs: ModuleRuns = {}
    previous_scopes: set[str] = set()
    for index in indices:
        node = graph.nodes[index]
        if operator_of(node) in QUANTISING:
            continue
        scopes = module_scopes(node)
        for scope in scopes:
            continues = scope in previous_scopes or not has_scope_metadata(node)
            module_runs = runs.setdefault(scope, [])
            if module_runs and continues:
                module_runs[-1] = index
            else:
                module_runs.append(index)
        if scopes:
            previous_scopes = set(scopes)
    return runs


def _join_numbered_runs(graph: Graph, runs: ModuleRuns) -> None:
    """Make ``relu_1`` the second run of ``relu``, where both compute the same."""
    unnumbered = [name for name in runs if NUMBERED.fullmatch(name) is None]
    for name in unnumbered:
        module_runs = runs[name]
        numbered = f"{name}_{len(module_runs)}"
        while numbered in runs and _same_module(
            graph, module_runs[0], runs[numbered][0]
        ):
            module_runs += runs.pop(numbered)
            numbered = f"{name}_{len(module_runs)}"


def _same_module(graph: Graph, first: int, second: int) -> bool:
    """Return whether two nodes have the same operator and, where it has any, the same weights."""
    kind = operator_of(graph.nodes[first])
    if operator_of(graph.nodes[second]) != kind:
        return False
    return kind not in PARAMETRIC or _weights(graph, first) == _weights(
        graph, second
    )


def _weights(graph: Graph, index: int) -> list[str]:
    inputs = graph.nodes[index].input
    return [name for name in inputs if name in graph.initializers]
